//! Whether a device is there.

use protocol::OfflineReason;
use store::Severity;

use super::{DEVICE, Default, Kind, Readings, So, Text, View, word};
use crate::say::{said, span};

/// Weak lines are given this much of what they usually need ...
const MARGIN: f64 = 1.5;
/// ... and never more than this.
const LONGEST_MS: i64 = 20 * 60_000;

const WEAK: &[(&str, Text)] = &[
    ("usual", ("as long as usual for that device", "其平时的断线时长")),
    ("same", ("just as long", "同样的时间")),
];

pub(super) const KINDS: &[Kind] = &[Kind {
    word: "offline",
    name: ("Device offline", "设备离线"),
    sentence: (
        "When {scope} is offline for {for} (on weak links wait {weak})",
        "{scope}离线超过 {for}（网络不稳的设备按{weak}放宽）",
    ),
    folds: true,
    from_past: true,
    fields: &[word("weak", ("Weak links wait", "网络不稳时等待"), WEAK, 0.0)],
    default: Default {
        on: true,
        for_s: 15,
        severity: Severity::Error,
        steps: &[(Severity::Critical, None, Some(1_800))],
        resolved: true,
    },
    explained_by: &[],
    read: offline,
    ..DEVICE
}];

/// Why a device is not there, in words.
pub(crate) fn why(reason: Option<OfflineReason>) -> store::Said {
    match reason {
        Some(OfflineReason::Shutdown) => {
            said("The agent was stopped and said goodbye.", "探针被停止，正常下线。")
        }
        Some(OfflineReason::ConnectionLost) => said(
            "The connection closed without a goodbye: power, network, or the agent was killed.",
            "连接中断且没有告别：断电、断网或探针被终止。",
        ),
        Some(OfflineReason::KeepAliveTimeout) => {
            said("Nothing is heard of it: network gone or host frozen.", "没有任何音讯：网络中断或主机卡死。")
        }
        Some(OfflineReason::KeyRevoked) => said("Its key was revoked.", "密钥已吊销。"),
        Some(OfflineReason::ServerRestart) => {
            said("It did not come back after the server was restarted.", "监控服务重启后没有回来。")
        }
        Some(OfflineReason::ProtocolError) => {
            said("It sent something that is not MQTT.", "发来的数据不是 MQTT。")
        }
        Some(OfflineReason::TakenOver | OfflineReason::Unknown) | None => {
            said("The reason is not known.", "原因未知。")
        }
    }
}

fn offline(view: &View<'_>) -> Readings {
    let Some(device) = view.device else { return Readings::unknown() };
    // Never seen is not gone.
    if device.now.online != Some(false) {
        return Readings::clear();
    }
    let rule_ms = i64::from(view.body.for_s) * 1000;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "minutes")]
    let usual = device.blips_ms.map_or(0, |ms| (ms as f64 * MARGIN) as i64).min(LONGEST_MS);
    let weak = view.word("weak") == "usual" && usual > rule_ms;
    let so = So::new(said("Offline", "离线")).detail(why(device.now.reason)).since(device.now.since);
    let wait = if weak { usual } else { rule_ms };
    let detail = so.detail.clone().filter(|_| weak).map(|why| {
        let usual = span(wait);
        said(
            format!("{} Longer than the {} it is usually given.", why.en, usual.en),
            format!("{}已超过平时放宽的 {}。", why.zh, usual.zh),
        )
    });
    Readings::so(So { for_ms: Some(wait), detail: detail.or(so.detail.clone()), ..so })
}
