-- A report is longer than what a page of a WITHOUT ROWID table keeps of a row, so each took a page of its own besides:
-- twice the memory, and twice the bytes written for every report. Rows of a table with rowids may fill a page.
CREATE TABLE retained_rows (
    topic TEXT NOT NULL UNIQUE,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    properties BLOB NOT NULL,             -- MQTT 5 properties, encoded
    at INTEGER NOT NULL
) STRICT;

INSERT INTO retained_rows SELECT topic, payload, qos, properties, at FROM retained;
DROP TABLE retained;
ALTER TABLE retained_rows RENAME TO retained;
