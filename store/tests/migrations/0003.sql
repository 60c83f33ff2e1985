-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (3, 'device000003', 'device 3', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000003', 'device', '', 'device000003', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (3, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.3', '{"hostname":"box3"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (3, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.3');
INSERT INTO spool (device_no, spool, seqs) VALUES (3, 'spool0000003', '1-2');
INSERT INTO sample_hot (device_no, at, received_at, seq, cpu_pct_x100, memory_used) VALUES
    (3, 1790000000000, 1790000000000, 1, 1250, 1024000),
    (3, 1790000030000, 1790000030000, 2, 3750, 3072000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000003/report',
    CAST('{"v":1,"spool":"spool0000003","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 3', 'admin', 'a hash', 1790000000000);
INSERT INTO usage_ledger (no, device_no, ledger, first_seen_at)
VALUES (3, 3, 'spool0000003', 1790000000000);
INSERT INTO usage_kind (no, device_no, provider, model, agent, "trigger")
VALUES (3, 3, 'mock', 'small', 'main', 'human');
INSERT INTO usage (device_no, quarter, kind_no, ledger_no, turns, error_turns, unmetered_turns, input, output, cache_read,
    cache_write, reasoning, cost_nano_usd, unpriced) VALUES
    (3, 1988888, 3, 3, 5, 0, 0, 50, 5, 0, 0, 0, 1000, 0),
    (3, 1988889, 3, 3, 2, 0, 0, 20, 2, 0, 0, 0, 1000, 0);
INSERT INTO usage_total (device_no, turns, error_turns, unmetered_turns, input, output, cache_read, cache_write, reasoning,
    cost_nano_usd, unpriced)
VALUES (3, 7, 0, 0, 70, 7, 0, 0, 0, 2000, 0);
INSERT INTO error_record (device_no, at, received_at, level, gateway, subsystem, message, fingerprint, count, version, stack,
    context) VALUES
    (3, 1790000000000, 1790000001000, 'error', 'default', 'agent', 'boom 3 请求超时', '0000000000000003', 1, '2026.1.3', NULL, NULL),
    (3, 1790000010000, 1790000011000, 'crash', 'default', 'agent', 'boom 3 请求超时', '0000000000000003', 2, '2026.1.3', 'at x', '["before"]');
INSERT INTO event (device_no, at, received_at, kind, gateway, before, after, reason, duration_ms, count, activity) VALUES
    (3, 1790000010000, 1790000011000, 'gateway_crashed', 'default', NULL, NULL, 'signal 9', 5000, NULL, NULL),
    (3, 1790000012000, 1790000013000, 'activity', NULL, NULL, NULL, NULL, 10, 1, '{"action":"tool.action"}');
INSERT INTO audit (device_no, at, received_at, body)
VALUES (3, 1790000000000, 1790000000000,
    '{"v":1,"spool":"spool0000003","seq":2,"at":1790000000000,"audits":[],"findings":[],"listeners":[]}');
