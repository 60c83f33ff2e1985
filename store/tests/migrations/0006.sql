-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (6, 'device000006', 'device 6', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000006', 'device', '', 'device000006', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (6, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.6', '{"hostname":"box6"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (6, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.6');
INSERT INTO spool (no, device_no, spool, seqs) VALUES (600, 6, 'spool0000006', '1');
-- The first has settled, the second has not.
INSERT INTO sample (device_no, at, spool_no, seq, late, cpu_pct_x100, memory_used_kib)
VALUES (6, 1790000000000, 600, 1, 0, 1250, 1000);
INSERT INTO sample_hot (no, device_no, at, spool_no, seq, received_at, late, cpu_pct_x100, memory_used_kib)
VALUES (6000, 6, 1790000030000, 600, 2, 1790000030000, 0, 3750, 3000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000006/report',
    CAST('{"v":1,"spool":"spool0000006","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 6', 'admin', 'a hash', 1790000000000);
INSERT INTO usage_ledger (no, device_no, ledger, first_seen_at)
VALUES (6, 6, 'spool0000006', 1790000000000);
INSERT INTO usage_word (provider, model, agent, "trigger") VALUES ('mock', 'small', 'main', 'human') ON CONFLICT DO NOTHING;
INSERT INTO usage_kind (no, device_no, provider, model, agent, "trigger", word_no)
VALUES (6, 6, 'mock', 'small', 'main', 'human', (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output, cache_read,
    cache_write, reasoning, cost_nano_usd, unpriced, word_no) VALUES
    (6, 1988888, 6, 6, 5, 0, 0, 50, 5, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small')),
    (6, 1988889, 6, 6, 2, 0, 0, 20, 2, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write, reasoning,
    cost_nano_usd, unpriced)
VALUES (6, 7, 0, 0, 70, 7, 0, 0, 0, 2000, 0);
INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count, version, stack,
    context) VALUES
    (6, 1790000000000, 1790000001000, 'error', 'default', 'agent', 'boom 6 请求超时', '0000000000000006', 1, '2026.1.6', NULL, NULL),
    (6, 1790000010000, 1790000011000, 'crash', 'default', 'agent', 'boom 6 请求超时', '0000000000000006', 2, '2026.1.6', 'at x', '["before"]');
INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity) VALUES
    (6, 1790000010000, 1790000011000, 'gateway_crashed', 'default', NULL, NULL, 'signal 9', 5000, NULL, NULL),
    (6, 1790000012000, 1790000013000, 'activity', NULL, NULL, NULL, NULL, 10, 1, '{"action":"tool.action"}');
INSERT INTO audit (device_no, at, received_at, body)
VALUES (6, 1790000000000, 1790000000000,
    '{"v":1,"spool":"spool0000006","seq":2,"at":1790000000000,"audits":[],"findings":[],"listeners":[]}');
INSERT INTO error_group (fingerprint, level, message, subsystem, sample_device_no, first_seen_at, last_seen_at, count, state,
    state_at, state_by)
VALUES ('0000000000000006', 'crash', 'boom 6 请求超时', 'agent', 6, 1790000000000, 1790000010000, 3, 'resolved', 1790000020000, 'ann');
INSERT INTO error_group_device (fingerprint, device_no, version, count, first_seen_at, last_seen_at)
VALUES ('0000000000000006', 6, '2026.1.6', 3, 1790000000000, 1790000010000);
INSERT INTO error_group_hour (fingerprint, hour, device_no, count) VALUES ('0000000000000006', 497222, 6, 3);
INSERT INTO event (at, received_at, kind, after) VALUES (1790000000000, 1790000000000, 'server_started', '0.1.0');
