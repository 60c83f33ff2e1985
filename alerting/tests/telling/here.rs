//! Channels that stay in the house: the log file, and our own broker.

use std::sync::{Arc, Mutex};

use crate::elsewhere::*;
use alerting::Occasion;
use alerting::channels::{Fault, Outside};
use protocol::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

fn in_folder(dir: &TempDir) -> Outside {
    Outside { data_dir: dir.path().to_owned(), ..outside() }
}

fn files(dir: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_log_has_a_line_for_each_notification() {
    let dir = TempDir::new().unwrap();
    let opened = open_in("file", &[], &in_folder(&dir));
    let arrived = tell(&opened, &down(Occasion::Fired), None).await.unwrap();
    assert_eq!(arrived.answer, "written to logs/health-2027-01-15.log");
    tell(&opened, &nasty(), None).await.unwrap();
    tell(&opened, &down(Occasion::Resolved), None).await.unwrap();
    let path = dir.path().join("logs/health-2027-01-15.log");
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert_eq!(
        lines[0],
        "[2027-01-15T08:00:00Z] [CRITICAL] [gateway_down] hk-edge-02: Gateway down - Out of memory.; It used 2 GB."
    );
    assert!(
        lines[1].starts_with("[2027-01-15T08:00:00Z] [CRITICAL] [gateway_down] <b>@everyone</b>")
            && is_clean(lines[1])
    );
    assert!(lines[2].starts_with("[2027-01-15T08:12:00Z] [RESOLVED] [gateway_down] hk-edge-02: "));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn the_log_stays_small() {
    let dir = TempDir::new().unwrap();
    let clock = Clock::manual(NOW);
    let outside = Outside { clock: clock.clone(), ..in_folder(&dir) };
    let pairs = [("days", "2"), ("megabytes", "1")];
    let opened = open_in("file", &pairs, &outside);
    for day in 0..5 {
        clock.set(NOW.plus_millis(day * 86_400_000));
        tell(&opened, &down(Occasion::Fired), None).await.unwrap();
        std::fs::write(dir.path().join("logs/health-notes.log"), "mine").unwrap();
    }
    let kept =
        ["health-2027-01-17.log", "health-2027-01-18.log", "health-2027-01-19.log", "health-notes.log"];
    assert_eq!(files(&dir), kept);
    std::fs::write(dir.path().join("logs/health-2027-01-19.log"), vec![b'x'; 1 << 20]).unwrap();
    let arrived = tell(&opened, &down(Occasion::Fired), None).await.unwrap();
    assert!(arrived.answer.starts_with("not written"), "{}", arrived.answer);
    // Where nothing can be written.
    let outside = Outside { data_dir: dir.path().join("logs/health-notes.log"), ..outside };
    let opened = open_in("file", &pairs, &outside);
    assert_eq!(tell(&opened, &down(Occasion::Fired), None).await.unwrap_err().fault, Fault::Channel);
}

#[tokio::test]
async fn our_broker_is_told_below_the_device() {
    let published: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let log = Arc::clone(&published);
    let outside = Outside {
        publish: Arc::new(move |topic, payload| {
            log.lock().unwrap().push((topic, serde_json::from_slice(&payload).unwrap()));
            Box::pin(async { Ok(()) })
        }),
        ..outside()
    };
    let opened = open_in("mqtt", &[], &outside);
    tell(&opened, &down(Occasion::Resolved), None).await.unwrap();
    let mut fleet = down(Occasion::Fired);
    (fleet.device, fleet.devices) = (None, Some(12));
    tell(&opened, &fleet, None).await.unwrap();
    let published = std::mem::take(&mut *published.lock().unwrap());
    let (topic, body) = &published[0];
    assert_eq!(topic, "abcdefghjkmn/alert");
    assert_eq!(
        (&body["state"], &body["at"], &body["resolved_at"]),
        (&json!("resolved"), &json!(NOW.0 + 720_000), &json!(NOW.0 + 720_000))
    );
    assert_eq!((&body["v"], &body["alert"], &body["rule"]), (&json!(1), &json!(17), &json!("gateway_down")));
    let (topic, body) = &published[1];
    assert_eq!(
        (topic.as_str(), &body["headline"]),
        ("fleet/alert", &json!("[CRITICAL] 12 devices: Gateway down"))
    );
    let closed = open_in("mqtt", &[], &crate::elsewhere::outside());
    let failed = tell(&closed, &down(Occasion::Fired), None).await.unwrap_err();
    assert_eq!((failed.fault, failed.why.as_str()), (Fault::Channel, "there is no broker"));
}
