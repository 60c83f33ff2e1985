//! Which troubles somebody would have been told of. The words are the demo's own: rules come later.

use store::{Said, Severity, Telling};

use crate::cast::{End, Machine};
use crate::life::{DAY, Incident, MINUTE, Trouble};

/// Before this nobody was told.
const SINCE: i64 = 21 * DAY;

fn said(en: &str, zh: &str) -> Said {
    Said { en: en.to_owned(), zh: zh.to_owned() }
}

/// After how long a trouble is told of, under the word of which rule, and with what words.
pub(crate) fn of(machine: &Machine, incident: &Incident, end: i64) -> Option<(i64, &'static str, Telling)> {
    use Severity::{Critical, Error, Warning};
    use Trouble::{
        AgentRestart, Crash, CrashUnseen, Degraded, Hung, Network, Reboot, Silence, Sleep, Stopped,
    };
    let production = machine.tags.iter().any(|tag| tag == "prod");
    let grave = if production { Critical } else { Error };
    let (after, rule, severity, title, detail) = match incident.trouble {
        Crash | CrashUnseen => (
            MINUTE / 2,
            "gateway_down",
            grave,
            said("Gateway crashed: out of memory", "网关崩溃：内存不足"),
            said("Exit code 137", "退出码 137"),
        ),
        Stopped => (
            MINUTE,
            "gateway_down",
            grave,
            said("Gateway is not running", "网关未在运行"),
            said("No crash record; the process was ended from outside", "没有崩溃记录，进程被外部终止"),
        ),
        Hung => (
            MINUTE,
            "gateway_hung",
            grave,
            said("Gateway does not answer", "网关无响应"),
            said("Port open, no answer to the readiness check", "端口仍开放，就绪检查没有应答"),
        ),
        Degraded if machine.end == End::Hot => (
            5 * MINUTE,
            "temperature",
            Warning,
            said("Throttled at 82 °C", "82 °C 降频"),
            said("Event-loop delay p99 1.9 s", "事件循环延迟 p99 1.9 秒"),
        ),
        Degraded => (
            5 * MINUTE,
            "channel_down",
            Warning,
            said("Telegram disconnected", "Telegram 已断开"),
            said("getUpdates conflict", "getUpdates 冲突"),
        ),
        Network | Silence => (
            10 * MINUTE,
            "offline",
            if production { Error } else { Warning },
            said("Offline for 10 min", "已离线 10 分钟"),
            said("The connection was lost", "连接已断开"),
        ),
        Reboot | AgentRestart | Sleep => return None,
    };
    let told = incident.from > end - SINCE && incident.to.saturating_sub(incident.from) > after;
    told.then_some((incident.from + after, rule, Telling { severity, title, detail: Some(detail) }))
}
