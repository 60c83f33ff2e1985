-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (5, 'device000005', 'device 5', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000005', 'device', '', 'device000005', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (5, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.5', '{"hostname":"box5"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (5, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.5');
INSERT INTO spool (no, device_no, spool, seqs) VALUES (500, 5, 'spool0000005', '1');
-- The first has settled, the second has not.
INSERT INTO sample (device_no, at, spool_no, seq, late, cpu_pct_x100, memory_used_kib)
VALUES (5, 1790000000000, 500, 1, 0, 1250, 1000);
INSERT INTO sample_hot (no, device_no, at, spool_no, seq, received_at, late, cpu_pct_x100, memory_used_kib)
VALUES (5000, 5, 1790000030000, 500, 2, 1790000030000, 0, 3750, 3000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000005/report',
    CAST('{"v":1,"spool":"spool0000005","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 5', 'admin', 'a hash', 1790000000000);
INSERT INTO usage_ledger (no, device_no, ledger, first_seen_at)
VALUES (5, 5, 'spool0000005', 1790000000000);
INSERT INTO usage_word (provider, model, agent, "trigger") VALUES ('mock', 'small', 'main', 'human') ON CONFLICT DO NOTHING;
INSERT INTO usage_kind (no, device_no, provider, model, agent, "trigger", word_no)
VALUES (5, 5, 'mock', 'small', 'main', 'human', (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output, cache_read,
    cache_write, reasoning, cost_nano_usd, unpriced, word_no) VALUES
    (5, 1988888, 5, 5, 5, 0, 0, 50, 5, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small')),
    (5, 1988889, 5, 5, 2, 0, 0, 20, 2, 0, 0, 0, 1000, 0, (SELECT no FROM usage_word WHERE model = 'small'));
INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write, reasoning,
    cost_nano_usd, unpriced)
VALUES (5, 7, 0, 0, 70, 7, 0, 0, 0, 2000, 0);
INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count, version, stack,
    context) VALUES
    (5, 1790000000000, 1790000001000, 'error', 'default', 'agent', 'boom 5 请求超时', '0000000000000005', 1, '2026.1.5', NULL, NULL),
    (5, 1790000010000, 1790000011000, 'crash', 'default', 'agent', 'boom 5 请求超时', '0000000000000005', 2, '2026.1.5', 'at x', '["before"]');
INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity) VALUES
    (5, 1790000010000, 1790000011000, 'gateway_crashed', 'default', NULL, NULL, 'signal 9', 5000, NULL, NULL),
    (5, 1790000012000, 1790000013000, 'activity', NULL, NULL, NULL, NULL, 10, 1, '{"action":"tool.action"}');
INSERT INTO audit (device_no, at, received_at, body)
VALUES (5, 1790000000000, 1790000000000,
    '{"v":1,"spool":"spool0000005","seq":2,"at":1790000000000,"audits":[],"findings":[],"listeners":[]}');
