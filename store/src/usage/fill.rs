//! A large fleet's usage at once, for tests of how long questions take.

use super::COLUMNS;
use crate::{Doing as _, Error, Store};

impl Store {
    /// Adds `devices` devices, each with `rows` rows on each of `days` days until `last_quarter`, of four kinds.
    pub async fn fill_usage(
        &self,
        devices: u32,
        days: u32,
        rows: u32,
        last_quarter: i64,
    ) -> Result<(), Error> {
        let columns = COLUMNS.join(", ");
        let sums: Vec<String> = COLUMNS.iter().map(|name| format!("sum({name})")).collect();
        let mut connection = self.inner.writer.acquire().await.doing("filling")?;
        for sql in [
            "DROP TRIGGER usage_row_added".to_owned(),
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {devices})
                 INSERT INTO device (id, name, kind, created_at)
                 SELECT printf('d%011d', i), printf('d%d', i), 'agent', 0 FROM n"
            ),
            "INSERT INTO usage_word (provider, model, agent, \"trigger\") VALUES
                ('anthropic', 'claude-sonnet-4-5', 'main', 'human'), ('anthropic', 'claude-sonnet-4-5', 'main', 'cron'),
                ('mock', 'small', 'main', 'human'), ('mock', 'small', 'main', 'heartbeat')"
                .to_owned(),
            "INSERT INTO usage_kind (device_no, provider, model, agent, \"trigger\", word_no)
             SELECT device.no, provider, model, agent, \"trigger\", w.no FROM device, usage_word w ORDER BY 1, 6"
                .to_owned(),
            "INSERT INTO usage_ledger (device_no, ledger, first_seen_at) SELECT no, id, 0 FROM device".to_owned(),
            format!(
                "WITH RECURSIVE d(day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM d WHERE day < {days} - 1),
                    r(row) AS (SELECT 0 UNION ALL SELECT row + 1 FROM r WHERE row < {rows} - 1)
                 INSERT INTO usage (device_no, quarter, kind_no, ledger_no, word_no, {columns})
                 SELECT l.device_no, {last_quarter} - day * 96 - row * 96 / {rows} - l.device_no % 4, k.no, l.no, k.word_no,
                    3, 0, 0, 15000, 800, 90000, 2000, 0, 90000000, 0, 0, 0, 0
                 FROM usage_ledger l CROSS JOIN d CROSS JOIN r
                 JOIN usage_kind k ON k.device_no = l.device_no AND k.word_no = 1 + row % 4
                 WHERE true ON CONFLICT DO NOTHING"
            ),
            format!(
                "INSERT INTO usage_fleet SELECT quarter, word_no, count(*), {} FROM usage WHERE counted GROUP BY 1, 2",
                sums.join(", ")
            ),
            format!(
                "INSERT INTO usage_total (device_no, {columns})
                 SELECT device_no, {} FROM usage WHERE counted GROUP BY device_no",
                sums.join(", ")
            ),
            format!(
                "INSERT INTO usage_day SELECT device_no, quarter / 96, word_no, count(*), {} FROM usage WHERE counted
                 GROUP BY 1, 2, 3",
                sums.join(", ")
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.doing("filling")?;
        }
        Ok(())
    }
}
