-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (4, 'device000004', 'device 4', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000004', 'device', '', 'device000004', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (4, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.4', '{"hostname":"box4"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (4, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.4');
INSERT INTO spool (no, device_no, spool, seqs) VALUES (400, 4, 'spool0000004', '1');
-- The first has settled, the second has not.
INSERT INTO sample (device_no, at, spool_no, seq, late, cpu_pct_x100, memory_used_kib)
VALUES (4, 1790000000000, 400, 1, 0, 1250, 1000);
INSERT INTO sample_hot (no, device_no, at, spool_no, seq, received_at, late, cpu_pct_x100, memory_used_kib)
VALUES (4000, 4, 1790000030000, 400, 2, 1790000030000, 0, 3750, 3000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000004/report',
    CAST('{"v":1,"spool":"spool0000004","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 4', 'admin', 'a hash', 1790000000000);
INSERT INTO usage_ledger (no, device_no, ledger, first_seen_at)
VALUES (4, 4, 'spool0000004', 1790000000000);
INSERT INTO usage_kind (no, device_no, provider, model, agent, "trigger")
VALUES (4, 4, 'mock', 'small', 'main', 'human');
INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output, cache_read,
    cache_write, reasoning, cost_nano_usd, unpriced) VALUES
    (4, 1988888, 4, 4, 5, 0, 0, 50, 5, 0, 0, 0, 1000, 0),
    (4, 1988889, 4, 4, 2, 0, 0, 20, 2, 0, 0, 0, 1000, 0);
INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write, reasoning,
    cost_nano_usd, unpriced)
VALUES (4, 7, 0, 0, 70, 7, 0, 0, 0, 2000, 0);
INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count, version, stack,
    context) VALUES
    (4, 1790000000000, 1790000001000, 'error', 'default', 'agent', 'boom 4 请求超时', '0000000000000004', 1, '2026.1.4', NULL, NULL),
    (4, 1790000010000, 1790000011000, 'crash', 'default', 'agent', 'boom 4 请求超时', '0000000000000004', 2, '2026.1.4', 'at x', '["before"]');
INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity) VALUES
    (4, 1790000010000, 1790000011000, 'gateway_crashed', 'default', NULL, NULL, 'signal 9', 5000, NULL, NULL),
    (4, 1790000012000, 1790000013000, 'activity', NULL, NULL, NULL, NULL, 10, 1, '{"action":"tool.action"}');
INSERT INTO audit (device_no, at, received_at, body)
VALUES (4, 1790000000000, 1790000000000,
    '{"v":1,"spool":"spool0000004","seq":2,"at":1790000000000,"audits":[],"findings":[],"listeners":[]}');
