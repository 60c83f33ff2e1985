//! What goes wrong in OpenClaw on the simulated machines, and how safe they are.

use protocol::{
    Audit, Finding, FindingSeverity, GatewayAudit, Listener, LogLevel, LogRecord, SpoolId, Timestamp, limits,
};

use crate::cast::{Machine, NEWEST};
use crate::dice::{Dice, hash, word};
use crate::life::{DAY, Life};

/// A kind of error: level, part of OpenClaw, message (`#` becomes a number), name, reason, provider and model, a machine
/// sees how many a day, share of the machines that ever see it, only since the newest version.
type Kind = (
    LogLevel,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static str),
    f64,
    f64,
    bool,
);

const KINDS: &[Kind] = {
    use LogLevel::{Error, Exception, Unknown, Warning};
    &[
        (
            Warning,
            "agent/embedded",
            "Model call failed with 429, retrying in # s",
            "",
            "rate_limit",
            ("anthropic", "claude-sonnet-4-6"),
            1.6,
            0.6,
            false,
        ),
        (
            Warning,
            "agent/embedded",
            "Provider overloaded (529), falling back to the next model",
            "",
            "overloaded",
            ("anthropic", "claude-opus-4-8"),
            0.5,
            0.4,
            false,
        ),
        (
            Warning,
            "agent/compaction",
            "Context of session exceeds # tokens, compacting",
            "",
            "context_overflow",
            ("openai", "gpt-5.4"),
            0.4,
            0.5,
            false,
        ),
        (
            Warning,
            "channels/whatsapp",
            "Socket closed with code 428, reconnecting (attempt #)",
            "",
            "",
            ("", ""),
            0.8,
            0.3,
            false,
        ),
        (
            Warning,
            "cron",
            "Job job-nightly skipped: the previous run is still active after # s",
            "",
            "",
            ("", ""),
            0.2,
            0.25,
            false,
        ),
        (
            Error,
            "channels/telegram",
            "getUpdates failed: Conflict: terminated by other getUpdates request",
            "GrammyError",
            "",
            ("", ""),
            0.9,
            0.25,
            false,
        ),
        (
            Error,
            "gateway/ws",
            "Client closed before hello, handshake took # ms",
            "",
            "",
            ("", ""),
            0.6,
            0.5,
            false,
        ),
        (
            Error,
            "tools/browser",
            "Navigation timeout of # ms exceeded",
            "TimeoutError",
            "",
            ("", ""),
            0.7,
            0.35,
            false,
        ),
        (
            Error,
            "tools/exec",
            "Command exited with code # before it was approved",
            "ExecError",
            "",
            ("", ""),
            0.4,
            0.3,
            false,
        ),
        (
            Error,
            "agent/embedded",
            "Authentication failed: the key was refused by the provider",
            "AuthError",
            "auth",
            ("openai", "gpt-5.4"),
            0.15,
            0.12,
            false,
        ),
        (
            Error,
            "agent/embedded",
            "Billing: credit balance is too low to access the API",
            "BillingError",
            "billing",
            ("anthropic", "claude-sonnet-4-6"),
            0.2,
            0.08,
            false,
        ),
        (
            Error,
            "memory/index",
            "Index is locked by another process (pid #)",
            "SqliteError",
            "",
            ("", ""),
            0.3,
            0.2,
            false,
        ),
        (
            Error,
            "channels/slack",
            "Request to chat.postMessage failed: ratelimited, retry after # s",
            "WebApiError",
            "",
            ("", ""),
            0.3,
            0.2,
            false,
        ),
        (
            Error,
            "plugins/feishu",
            "Token exchange failed with 99991663",
            "AxiosError",
            "",
            ("", ""),
            0.5,
            0.15,
            true,
        ),
        (
            Error,
            "gateway/readiness",
            "Sidecar did not become ready within # ms",
            "",
            "",
            ("", ""),
            0.8,
            0.4,
            true,
        ),
        (
            Exception,
            "gateway",
            "Cannot read properties of undefined (reading 'sessionKey')",
            "TypeError",
            "",
            ("", ""),
            0.3,
            0.35,
            true,
        ),
        (
            Exception,
            "agent/tools",
            "Unexpected end of JSON input at position #",
            "SyntaxError",
            "",
            ("", ""),
            0.2,
            0.3,
            false,
        ),
        (Exception, "channels/discord", "read ECONNRESET", "Error", "", ("", ""), 0.25, 0.2, false),
        (
            Unknown,
            "legacy",
            "A record of a kind that this version does not know (#)",
            "",
            "",
            ("", ""),
            0.05,
            0.1,
            false,
        ),
    ]
};

/// Messages that somebody has decided about.
pub(crate) const NOISE: &str = "Client closed before hello, handshake took # ms";
pub(crate) const MENDED: &str = "Index is locked by another process (pid #)";
pub(crate) const MENDED_TODAY: &str = "Token exchange failed with 99991663";

/// What alike records have in common.
pub(crate) fn fingerprint(template: &str) -> String {
    format!("{:016x}", word(template))
}

fn stack(name: &str, message: &str, dice: &mut Dice) -> String {
    let places = [
        "gateway/server.js",
        "agents/embedded-runner.js",
        "channels/bridge.js",
        "infra/queue.js",
        "tools/registry.js",
        "plugins/host.js",
    ];
    let functions = [
        "dispatch",
        "async runTurn",
        "handleFrame",
        "Queue.process",
        "resolveSession",
        "async callTool",
        "onMessage",
    ];
    let mut lines = vec![format!("{name}: {message}")];
    for _ in 0..dice.between(6, 14) {
        let (function, place) = (dice.pick(&functions).unwrap_or(&""), dice.pick(&places).unwrap_or(&""));
        lines.push(format!(
            "    at {function} (~/openclaw/dist/{place}:{}:{})",
            dice.between(40, 2_400),
            dice.between(3, 80)
        ));
    }
    lines.push(
        "    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)".to_owned(),
    );
    lines.join("\n")
}

/// Lines of a log before a crash, the oldest first.
fn lines(machine: &Machine, at: i64, count: i64, dice: &mut Dice) -> Vec<String> {
    let parts = [
        "gateway",
        "agent/embedded",
        "channels/telegram",
        "cron",
        "memory/index",
        "tools/browser",
        "gateway/ws",
    ];
    let says = [
        "run finished in # ms",
        "message received, # in queue",
        "tool call browser.open took # ms",
        "heartbeat ok",
        "session compacted, # tokens left",
        "GC pause # ms, heap # MB",
        "websocket client connected (#)",
        "index updated, # chunks",
    ];
    let mut lines: Vec<String> = (0..count)
        .map(|n| {
            let when = jiff::Timestamp::from_millisecond(at - (count - n) * 900)
                .map(|t| t.to_string())
                .unwrap_or_default();
            let say = dice
                .pick(&says)
                .map_or_else(String::new, |text| numbered(text, dice.clone().between(2, 900)));
            let level = if dice.chance(0.06) { "WARN" } else { "INFO" };
            format!("{when} {level} [{}] {say}", dice.pick(&parts).unwrap_or(&""))
        })
        .collect();
    if machine.hostile {
        lines.push("<script>alert(1)</script> \u{202e}gnp.exe\u{202c} \0 \u{1b}[31mred\u{1b}[0m".to_owned());
        lines.push("=1+1 ".repeat(2_000));
    }
    lines
}

fn numbered(text: &str, number: i64) -> String {
    text.replace('#', &number.to_string())
}

fn record(at: i64, level: LogLevel, subsystem: &str, message: String, template: &str) -> LogRecord {
    LogRecord {
        at: Timestamp(at),
        level,
        gateway: "default".to_owned(),
        subsystem: Some(subsystem.to_owned()),
        message,
        fingerprint: fingerprint(template),
        count: 1,
        error_name: None,
        reason: None,
        provider: None,
        model: None,
        agent: None,
        version: None,
        stack: None,
        context: Vec::new(),
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn of_kind(life: &Life, kind: &Kind, at: i64, dice: &mut Dice) -> LogRecord {
    let (level, subsystem, template, name, reason, (provider, model), ..) = kind;
    let message = numbered(template, dice.between(2, 120));
    let burst = if dice.chance(0.15) { dice.mostly_short(2, 400) } else { 1 };
    let stack =
        (matches!(level, LogLevel::Exception) || dice.chance(0.1)).then(|| stack(name, &message, dice));
    LogRecord {
        count: u32::try_from(burst).unwrap_or(1),
        error_name: text(name),
        reason: text(reason),
        provider: text(provider),
        model: text(model),
        agent: (!model.is_empty()).then(|| "main".to_owned()),
        version: text(life.version(at)),
        stack,
        ..record(at, *level, subsystem, message, template)
    }
}

/// What goes wrong from `from` to before `to`.
pub(crate) fn between(machine: &Machine, life: &Life, from: i64, to: i64) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for (n, kind) in KINDS.iter().enumerate() {
        let (.., a_day, share, since_newest) = *kind;
        let mut dice = Dice::new(hash(machine.seed, 90 + n as u64), from.cast_unsigned());
        if Dice::new(machine.seed, 60 + n as u64).unit() >= share
            || !dice.chance(a_day * (to - from) as f64 / DAY as f64)
        {
            continue;
        }
        let at = dice.between(from, to);
        if life.works(at) && (!since_newest || life.version(at) == NEWEST) {
            records.push(of_kind(life, kind, at, &mut dice));
        }
    }
    if machine.hostile && Dice::new(machine.seed, from.cast_unsigned()).chance(0.2) {
        records.push(hostile(from));
    }
    records.sort_by_key(|record| record.at);
    records
}

/// One that happens now, whatever the machine.
pub(crate) fn now(machine: &Machine, life: &Life, at: i64) -> Option<LogRecord> {
    let mut dice = Dice::new(machine.seed, at.cast_unsigned());
    let kind = dice.pick(KINDS)?;
    Some(of_kind(life, kind, at, &mut dice))
}

/// The end of a gateway.
pub(crate) fn crash(machine: &Machine, life: &Life, at: i64) -> LogRecord {
    let mut dice = Dice::new(machine.seed, at.cast_unsigned());
    let (subsystem, name, message) = *dice
        .pick(&[
            (
                "gateway",
                "RangeError",
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            ),
            ("gateway", "Error", "Uncaught exception: write EPIPE"),
            (
                "channels/whatsapp",
                "TypeError",
                "Uncaught exception: Cannot destructure property 'jid' of 'undefined'",
            ),
        ])
        .unwrap_or(&("gateway", "Error", ""));
    LogRecord {
        error_name: text(name),
        reason: text("out of memory (exit code 137)").filter(|_| name == "RangeError"),
        version: text(life.version(at - 1)),
        stack: Some(stack(name, message, &mut dice)),
        context: lines(machine, at, 200, &mut dice),
        ..record(at, LogLevel::Crash, subsystem, message.to_owned(), message)
    }
}

fn hostile(at: i64) -> LogRecord {
    let long = "very long ".repeat(1_000);
    let message = "<img src=x onerror=alert(1)> =HYPERLINK(\"http://example.com\") \u{202e}drawkcab\u{202c} 🦞👩‍👩‍👧‍👦 nul:\0: é̷̛̞̤ ";
    let end = limits::MAX_MESSAGE_BYTES - message.len();
    LogRecord {
        error_name: Some("<script>alert('name')</script>".to_owned()),
        model: Some("@SUM(1+1)*cmd|' /C calc'!A0".to_owned()),
        provider: Some("-1+1".to_owned()),
        agent: Some("\u{202e}tnega".to_owned()),
        version: Some("<i>2026</i>".to_owned()),
        stack: Some(format!("{message}\n{long}\n\t\u{1b}[31mat <anonymous>")),
        context: vec![message.to_owned(), long.clone()],
        ..record(
            at,
            LogLevel::Error,
            "<b>hostile</b>",
            format!("{message}{}", long.get(..end).unwrap_or("")),
            "hostile",
        )
    }
}

/// Check, severity, title, detail, what to do, share of the machines.
type Check = (&'static str, FindingSeverity, &'static str, &'static str, &'static str, f64);

const CHECKS: &[Check] = {
    use FindingSeverity::{Critical, Info, Warning};
    &[
        (
            "gateway.bind_no_auth",
            Critical,
            "Gateway binds to all addresses without authentication",
            "gateway.bind=\"lan\" and gateway.auth is off",
            "Set gateway.auth.mode to \"token\", or bind to loopback",
            0.06,
        ),
        (
            "fs.state_dir.perms_world_writable",
            Critical,
            "State folder can be written by everybody",
            "~/.openclaw has mode 0777",
            "chmod 700 ~/.openclaw",
            0.08,
        ),
        (
            "tools.exec.host_full_access",
            Critical,
            "Commands run on the host without approval",
            "tools.exec.security=full with an open channel",
            "Set tools.exec.security to \"allowlist\"",
            0.07,
        ),
        (
            "exposure.gateway_port_public",
            Critical,
            "The gateway's port is open to the network",
            "18789 listens on 0.0.0.0",
            "Bind the gateway to loopback, or put it behind a VPN",
            0.08,
        ),
        (
            "fs.config.perms_group_readable",
            Warning,
            "Configuration can be read by the group",
            "~/.openclaw/openclaw.json has mode 0640",
            "chmod 600 ~/.openclaw/openclaw.json",
            0.35,
        ),
        (
            "channels.telegram.group_open",
            Warning,
            "Telegram groups can talk to the agent without a mention",
            "groupPolicy=\"open\"",
            "Set channels.telegram.groupPolicy to \"allowlist\"",
            0.2,
        ),
        (
            "gateway.trusted_proxies_missing",
            Warning,
            "Reverse proxy headers are not trusted",
            "gateway.trustedProxies is empty",
            "Name your proxy's addresses if there is one",
            0.45,
        ),
        (
            "models.small_with_web_tools",
            Warning,
            "A small model may use the web",
            "Small models follow injected instructions more easily",
            "Deny group:web for this agent, or use a larger model",
            0.25,
        ),
        (
            "gateway.version_behind",
            Warning,
            "A newer version with security fixes is out",
            "",
            "Update OpenClaw and restart the gateway",
            0.15,
        ),
        (
            "summary.attack_surface",
            Info,
            "Attack surface",
            "groups: open=0, allowlist=2; tools.elevated: enabled; hooks: disabled",
            "",
            0.9,
        ),
        (
            "logging.redact_off",
            Info,
            "Tool output is logged in full",
            "logging.redactSensitive=off",
            "Set logging.redactSensitive to \"tools\"",
            0.2,
        ),
    ]
};

/// What was found on a machine when it was last looked at; `None`: it never was.
pub(crate) fn audit(machine: &Machine, at: i64, spool: SpoolId, seq: u64) -> Option<Audit> {
    let mut dice = Dice::new(machine.seed, 200);
    if dice.chance(0.08) {
        return None;
    }
    let failed = dice.chance(0.05);
    let (mut own, mut seen) = (Vec::new(), Vec::new());
    for (check, severity, title, detail, remedy, share) in CHECKS {
        if !dice.chance(*share) {
            continue;
        }
        let finding = Finding {
            check: (*check).to_owned(),
            severity: *severity,
            title: (*title).to_owned(),
            detail: text(detail),
            remediation: text(remedy),
        };
        if check.starts_with("exposure.") || check.starts_with("fs.") {
            seen.push(finding);
        } else {
            own.push(finding);
        }
    }
    if machine.hostile {
        own.push(Finding {
            check: "<b>check</b>".to_owned(),
            severity: FindingSeverity::Unknown,
            title: "=1+1 <script>alert(1)</script> \u{202e}eltit\0 ".repeat(5),
            detail: Some("🦞 <img src=x onerror=alert(1)> ".repeat(200)),
            remediation: text("@SUM(A1)"),
        });
    }
    let listener = |protocol: &str, address: &str, port, process: &str| Listener {
        protocol: protocol.to_owned(),
        address: address.to_owned(),
        port,
        process: text(process),
    };
    Some(Audit {
        v: 1,
        spool,
        seq,
        at: Timestamp(at),
        audits: vec![GatewayAudit {
            gateway: "default".to_owned(),
            ran_at: Timestamp(at),
            error: failed.then(|| "openclaw security audit did not end within 60 s".to_owned()),
            findings: if failed { Vec::new() } else { own },
        }],
        findings: seen,
        listeners: vec![
            listener("tcp", "127.0.0.1", 18_789, "openclaw-gateway"),
            listener("tcp", "0.0.0.0", 22, "sshd"),
            listener("udp", "0.0.0.0", 5_353, ""),
        ],
    })
}

#[cfg(test)]
mod tests {
    use protocol::{Log, Payload as _};

    use super::*;
    use crate::cast::machines;

    #[test]
    fn what_is_told_can_be_read() {
        let end = 1_800_000_000_000;
        for (n, machine) in machines(60, 7, true).iter().enumerate() {
            let life = Life::new(machine, n, end, 40);
            let mut records = between(machine, &life, end - DAY, end);
            records.push(crash(machine, &life, end));
            for record in records {
                let log = Log {
                    v: 1,
                    spool: SpoolId::generate(),
                    seq: 1,
                    at: Timestamp(end),
                    records: vec![record],
                };
                Log::decode(&log.encode()).unwrap();
            }
            if let Some(audit) = audit(machine, end, SpoolId::generate(), 1) {
                Audit::decode(&audit.encode()).unwrap();
            }
        }
    }
}
