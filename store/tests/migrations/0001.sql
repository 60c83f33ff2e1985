-- What a server of this version has recorded of one device.
INSERT INTO device (no, id, name, kind, tags, created_at)
VALUES (1, 'device000001', 'device 1', 'agent', '["lab"]', 1790000000000);
-- The test gives it the hash of a real key.
INSERT INTO access_key (id, kind, name, device_id, hash, created_at)
VALUES ('devkey000001', 'device', '', 'device000001', x'00', 1790000000000);
INSERT INTO device_state (device_no, online, since, reason, epoch, boot_id, agent_version, host)
VALUES (1, 0, 1790000100000, 'connection_lost', 3, 'boot', '0.1.1', '{"hostname":"box1"}');
INSERT INTO presence (device_no, received_at, at, online, reason, epoch, boot_id, agent_version)
VALUES (1, 1790000000000, 1790000000000, 1, NULL, 3, 'boot', '0.1.1');
INSERT INTO spool (device_no, spool, seqs) VALUES (1, 'spool0000001', '1-2');
INSERT INTO sample_hot (device_no, at, received_at, seq, cpu_pct_x100, memory_used) VALUES
    (1, 1790000000000, 1790000000000, 1, 1250, 1024000),
    (1, 1790000030000, 1790000030000, 2, 3750, 3072000);
INSERT INTO retained (topic, payload, qos, properties, at)
VALUES (
    'openclaw/device000001/report',
    CAST('{"v":1,"spool":"spool0000001","seq":2,"at":1790000030000,"cpu":{"pct":37.5}}' AS BLOB),
    1, x'', 1790000030000
);
INSERT INTO person (name, role, password_hash, created_at) VALUES ('person 1', 'admin', 'a hash', 1790000000000);
