//! Tokens and money through the whole system: a device tells, the price table changes, viewers of two zones look.

use std::time::Duration;

use e2e::live::Live;
use e2e::mqtt::{Client, Options};
use e2e::{Server, until};
use protocol::{Clock, QUARTER_MILLIS};
use serde_json::json;

const HOUR_MS: i64 = 3_600_000;

/// A zone in which it is about this hour now, as it stands in a query.
fn zone_at(hour: i64, now_ms: i64) -> String {
    let ahead = (hour - now_ms.div_euclid(HOUR_MS).rem_euclid(24) + 12).rem_euclid(24) - 12;
    // The names of these zones say how far they are behind.
    if ahead > 0 { format!("Etc/GMT-{ahead}") } else { format!("Etc/GMT%2B{}", -ahead) }
}

fn table(usd: u32) -> String {
    format!(
        "[[price]]\nprovider = \"mock\"\nmodel = \"small*\"\nfrom = \"2020-01-01\"\ninput = {usd}.0\noutput = 0\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_price_is_on_the_page_and_a_bad_table_is_refused() {
    let mut server = Server::start().await;
    let device = server.add_device("spender").await;
    let now = Clock::system().now().0;
    let quarter = (now - 20 * HOUR_MS).div_euclid(QUARTER_MILLIS) * QUARTER_MILLIS;
    let mut client = Client::connect(&server.broker, &Options::new(&device.id, &device.key)).await;
    let usage = json!({
        "v": 1, "spool": "cuqzdue4yrtt", "seq": 1, "at": now, "ledger": "h7k2m9p4x3wq",
        "rows": [{ "quarter": quarter, "provider": "mock", "model": "small-1", "agent": "main", "trigger": "human",
                   "turns": 2, "input": 1_000_000, "unpriced": 1_000_000 }]
    });
    let topic = format!("openclaw/{}/usage", device.id);
    client.publish(&topic, usage.to_string().as_bytes(), false).await.expect("a PUBACK");

    // Twenty hours ago was today for whom it is late, and yesterday for whom it is early.
    for (hour, span, other) in [(22, "today", "yesterday"), (2, "yesterday", "today")] {
        let path = format!("/live?tz={}", zone_at(hour, now));
        let (_, snapshot) = Live::open_at(&server, &path).await;
        let usage = &snapshot["devices"][0]["usage"];
        assert_eq!(
            (&usage[span]["tokens"], &usage[other]["tokens"]),
            (&json!(1_000_000), &json!(0)),
            "{path}"
        );
        assert!(usage[span]["cost_usd"].is_null(), "nobody knows: {usage}");
    }
    assert_eq!(server.get("/prices")["unpriced_models"][0]["model"], "small-1");

    let (mut live, _) = Live::open(&server).await;
    let file = server.data_dir().join("prices.toml");
    for usd in [7, 250] {
        std::fs::write(&file, table(usd)).expect("a table is written");
        live.device(&device.id, |d| d["usage"]["total"]["cost_usd"] == f64::from(usd)).await;
    }
    assert_eq!(server.get("/prices")["file"], "prices.toml");
    assert_eq!(server.get("/usage/summary")["total"]["estimated_usd"], 250.0);

    std::fs::write(&file, table(3).replace("output", "outptu")).expect("a table is written");
    let told = async || server.process.log().contains("changed prices cannot be used").then_some(());
    until("the bad table is refused", Duration::from_secs(20), told).await;
    assert_eq!(server.get("/prices")["prices"][0]["usd_per_million"]["input"], 250.0);
    assert_eq!(server.device(&device.id)["usage"]["total"]["cost_usd"], 250.0);

    server.kill();
    let output = server.run(&["serve"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("line 6") && error.contains("outptu"), "{error}");
    std::fs::write(&file, table(9)).expect("a table is written");
    server.restart().await;
    let cost = async || (server.device(&device.id)["usage"]["total"]["cost_usd"] == 9.0).then_some(());
    until("the table of the new start is used for what was before", Duration::from_secs(20), cost).await;
}
