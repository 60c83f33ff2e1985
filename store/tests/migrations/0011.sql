-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (11, 'device000011', 'device 11', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000011', 'device', '', 'device000011', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (11, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.11', '{"hostname":"box11"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (11, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.11');
INSERT INTO spool (no, device_no, spool, seqs) VALUES (1100, 11, 'spool0000011', '1');
-- The first has settled, the second has not.
INSERT INTO sample (device_no, at, spool_no, seq, late, cpu_pct_x100, memory_used_kib)
VALUES (11, 1790000000000, 1100, 1, 0, 1250, 1000);
INSERT INTO sample_hot (no, device_no, at, spool_no, seq, received_at, late, cpu_pct_x100, memory_used_kib)
VALUES (11000, 11, 1790000030000, 1100, 2, 1790000030000, 0, 3750, 3000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000011/report',
    CAST('{"v":1,"spool":"spool0000011","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 11', 'admin', 'a hash', 1790000000000);
INSERT INTO usage_ledger (no, device_no, ledger, first_seen_at)
VALUES (11, 11, 'spool0000011', 1790000000000);
INSERT INTO usage_word (provider, model, agent, "trigger") VALUES ('mock', 'small', 'main', 'human') ON CONFLICT DO NOTHING;
INSERT INTO usage_kind (no, device_no, provider, model, agent, "trigger", word_no)
VALUES (11, 11, 'mock', 'small', 'main', 'human', (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output, cache_read,
    cache_write, reasoning, cost_nano_usd, unpriced, word_no) VALUES
    (11, 1988888, 11, 11, 5, 0, 0, 50, 5, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small')),
    (11, 1988889, 11, 11, 2, 0, 0, 20, 2, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write, reasoning,
    cost_nano_usd, unpriced)
VALUES (11, 7, 0, 0, 70, 7, 0, 0, 0, 2000, 0);
INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count, version, stack,
    context) VALUES
    (11, 1790000000000, 1790000001100, 'error', 'default', 'agent', 'boom 11 请求超时', '000000000000000b', 1, '2026.1.11', NULL, NULL),
    (11, 1790000010000, 1790000011000, 'crash', 'default', 'agent', 'boom 11 请求超时', '000000000000000b', 2, '2026.1.11', 'at x', '["before"]');
INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity) VALUES
    (11, 1790000010000, 1790000010000, 'gateway_crashed', 'default', NULL, NULL, 'signal 9', 5000, NULL, NULL),
    (11, 1790000012000, 1790000013000, 'activity', NULL, NULL, NULL, NULL, 11, 1, '{"action":"tool.action"}');
INSERT INTO audit (device_no, at, received_at, body)
VALUES (11, 1790000000000, 1790000000000,
    '{"v":1,"spool":"spool0000011","seq":2,"at":1790000000000,"audits":[],"findings":[],"listeners":[]}');
INSERT INTO error_group (fingerprint, level, message, subsystem, sample_device_no, first_seen_at, last_seen_at, count, state,
    state_at, state_by)
VALUES ('000000000000000b', 'crash', 'boom 11 请求超时', 'agent', 11, 1790000000000, 1790000010000, 3, 'resolved', 1790000020000, 'ann');
INSERT INTO error_group_device (fingerprint, device_no, version, count, first_seen_at, last_seen_at)
VALUES ('000000000000000b', 11, '2026.1.11', 3, 1790000000000, 1790000010000);
INSERT INTO error_group_hour (fingerprint, hour, device_no, count) VALUES ('000000000000000b', 497222, 11, 3);
INSERT INTO event (at, received_at, kind, after) VALUES (1790000000000, 1790000000000, 'server_started', '0.1.0');
INSERT INTO audit_log (at, actor_kind, actor, address, action, subject_kind, subject_id, subject_name, before, after)
VALUES (1790000000000, 'user', 'ann', '192.0.2.1', 'device.rename', 'device', 'device000011', 'device', '{"name":"device"}',
    '{"name":"device 11"}');
INSERT INTO outage (device_no, from_at, reason, boot_before) VALUES (11, 1790000100000, 'connection_lost', 'boot');
INSERT INTO server_run (started_at, alive_at, version) VALUES (1790000000000, 1790000120000, '0.1.11');
INSERT INTO bearer_token (hash, role, name, created_at, id, last_used_at, expires_at)
VALUES (x'0b', 'viewer', 'token 11', 1790000000000, 'token0000011', 1790000000000, 1890000000000);
INSERT INTO two_factor (person, secret, on_since, last_step) VALUES ('person 11', x'0b', 1790000000000, 59666666);
INSERT INTO recovery_code (person, hash) VALUES ('person 11', x'0b');
INSERT INTO alert (device_no, rule, severity, title_en, title_zh, detail_en, detail_zh, fired_at, resolved_at,
    acknowledged_at, acknowledged_by)
VALUES (11, 'gateway_down', 'error', 'down 11', '停止 11', 'crashed', '崩溃', 1790000010000, NULL, 1790000020000, 'ann');
INSERT INTO alert_rule (no, kind, enabled, body) VALUES (11, 'cpu', 1, '{"values":{"level":90.0},"for_s":600,"severity":"warning"}');
INSERT INTO alert (device_no, rule, severity, title_en, title_zh, fired_at, resolved_at, rule_no, key, subject, members, flapping)
VALUES (NULL, 'offline', 'error', 'gone 11', '离线 11', 1790000000000, 1790000001100, 11, '11/-/storm', 'storm', '["device000011"]', 1);
INSERT INTO alert_state (key, body) VALUES ('11/device000011/', '{}');
UPDATE alerting SET event_no = 1, error_no = 1, judged_at = 1790000000000, kinds = '["cpu"]', settings = '{"zone":"Asia/Shanghai"}';
INSERT INTO alert_pause (kind, body, made_by, made_at, ends_at)
VALUES ('maintenance', '{"when":{"weekly":{"days":[7],"from":"03:00","minutes":60,"zone":"UTC"}}}', 'ann', 1790000000000, NULL);
INSERT INTO channel (id, kind, name, enabled, body, secrets, made_at)
VALUES ('channel00011', 'file', 'channel 11', 1, '{"language":"en","least":"info","takes_all":true}', NULL, 1790000000000);
INSERT INTO delivery (no, id, channel_id, alert_no, occasion, body, state, made_at, due_at, done_at, tries)
VALUES (11, 'delivery0011', 'channel00011', NULL, 'test', '{}', 'sent', 1790000000000, 1790000000000, 1790000000000, 1);
INSERT INTO attempt (delivery_no, at, took_ms, ok, answer) VALUES (11, 1790000000000, 7, 1, '200');
