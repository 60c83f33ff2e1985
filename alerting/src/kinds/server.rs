//! The server itself, its keys and channels.

use store::Severity;

use super::{DEVICE, Default, Kind, Of, PLAIN, Reading, Readings, So, Unit, View, number};
use crate::facts::ServerNow;
use crate::say::{bytes, cut, said, span};

const SERVER: Kind = Kind { of: Of::Server, lasts: false, explained_by: &[], ..DEVICE };

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "server_disk",
        name: ("Disk of the server", "服务器磁盘"),
        sentence: (
            "When the disk of this server has less than {level} the room that must stay free",
            "监控服务器的磁盘剩余空间不足保留值的 {level}",
        ),
        levels: true,
        falling: true,
        fields: &[
            number("level", ("Less than", "低于"), Unit::Times, &[1.5, 2.0, 4.0], (1.0, 100.0), 2.0),
            number("clear", ("Over above", "高于此值恢复"), Unit::Times, &[2.0, 3.0, 6.0], (1.0, 200.0), 3.0),
        ],
        default: Default {
            severity: Severity::Error,
            steps: &[(Severity::Critical, Some(1.0), None)],
            ..PLAIN
        },
        read: |view| {
            server(view, |now| {
                let (free, keep) = now.disk_free?;
                if keep == 0 {
                    return None;
                }
                #[expect(clippy::cast_precision_loss, reason = "a disk")]
                let (free, keep) = (free as f64, keep as f64);
                Some(view.level(if now.disk_low { 0.0 } else { free / keep }, || {
                let (free, keep) = (bytes(free), bytes(keep));
                let detail = if now.disk_low {
                    said(format!("{free} free; nothing is recorded below {keep}, devices keep their reports. Make room."), format!("剩余 {free}，低于 {keep} 已停止记录，设备会保留数据。请清理磁盘。"))
                } else {
                    said(format!("{free} free; recording stops at {keep}."), format!("剩余 {free}，低于 {keep} 将停止记录。"))
                };
                So::new(said("Disk of the server almost full", "服务器磁盘将满")).detail(detail)
            }))
            })
        },
        ..SERVER
    },
    Kind {
        word: "server_recording",
        name: ("Recording fails", "记录失败"),
        sentence: ("When this server cannot record for {for}", "监控服务无法记录数据超过 {for}"),
        lasts: true,
        default: Default { for_s: 30, severity: Severity::Critical, ..PLAIN },
        read: |view| {
            server(view, |now| {
                if now.damaged {
                    return Some(Reading::Holds(
                        So::new(said("The database is damaged", "数据库已损坏")).detail(said(
                            "Restore a backup: openclaw-watch restore.",
                            "请恢复备份：openclaw-watch restore。",
                        )),
                    ));
                }
                let since = now.recording_fails_since?;
                Some(Reading::Holds(
                    So::new(said("Nothing is recorded", "数据无法记录"))
                        .detail(said(
                            "The database takes no writes; devices keep their reports.",
                            "数据库无法写入，设备会保留数据。",
                        ))
                        .since(since),
                ))
            })
        },
        ..SERVER
    },
    Kind {
        word: "server_lag",
        name: ("Server falls behind", "服务处理滞后"),
        sentence: (
            "When this server falls behind with recording or passing on for {for}",
            "监控服务的记录或转发滞后超过 {for}",
        ),
        lasts: true,
        default: Default { for_s: 60, ..PLAIN },
        read: |view| {
            server(view, |now| {
                if now.engine_dead {
                    return Some(Reading::Holds(
                        So::new(said("Subscribers get nothing", "订阅方收不到消息")).detail(said(
                            "The MQTT router is being rebuilt; the page and recording go on.",
                            "MQTT 转发正在重建，页面和记录不受影响。",
                        )),
                    ));
                }
                let pct = now.inbox_pct.filter(|pct| *pct >= 90.0)?;
                Some(Reading::Holds(So::new(said("Recording falls behind", "记录滞后")).detail(said(
                    format!("The inbox is {pct:.0}% full: the disk is too slow."),
                    format!("收件队列已用 {pct:.0}%：磁盘过慢。"),
                ))))
            })
        },
        ..SERVER
    },
    Kind {
        word: "backup_failed",
        name: ("Backup failed", "备份失败"),
        sentence: ("When a backup of this server fails", "监控服务备份失败"),
        default: Default { severity: Severity::Error, ..PLAIN },
        read: |view| {
            server(view, |now| {
                let why = cut(now.backup_failed.as_ref()?, 300);
                Some(Reading::Holds(
                    So::new(said("Backup failed", "备份失败")).detail(said(why.clone(), why)),
                ))
            })
        },
        ..SERVER
    },
    Kind {
        word: "certificate",
        name: ("Certificate expiring", "证书即将过期"),
        sentence: (
            "When the certificate of this server is good for less than {level}",
            "监控服务的证书有效期不足 {level}",
        ),
        levels: true,
        falling: true,
        fields: &[
            number("level", ("Less than", "不足"), Unit::Days, &[7.0, 14.0, 30.0], (1.0, 365.0), 14.0),
            number("clear", ("Over above", "高于此值恢复"), Unit::Days, &[14.0, 30.0], (1.0, 400.0), 14.0),
        ],
        default: Default { steps: &[(Severity::Error, Some(3.0), None)], ..PLAIN },
        read: |view| {
            server(view, |now| {
                let left = now.certificate_until?.millis_since(view.now);
                #[expect(clippy::cast_precision_loss, reason = "days")]
                let days = left as f64 / 86_400_000.0;
                let told = span(left);
                Some(view.level(days, || {
                    if left > 0 {
                        So::new(said(
                            format!("Certificate expires in {}", told.en),
                            format!("证书将在 {}后过期", told.zh),
                        ))
                    } else {
                        So::new(said("Certificate has expired", "证书已过期"))
                    }
                }))
            })
        },
        ..SERVER
    },
    Kind {
        word: "channel_failing",
        name: ("Channel fails", "通知渠道故障"),
        sentence: ("When a notification channel fails for {for}", "通知渠道持续故障超过 {for}"),
        lasts: true,
        default: Default { severity: Severity::Error, ..PLAIN },
        read: |view| {
            let mut readings = Readings::clear();
            for (id, name, since, why) in &view.world.channels {
                let (name, why) = (cut(name, 60), cut(why, 300));
                let so = So::new(said(format!("Channel {name} fails"), format!("通知渠道 {name} 故障")))
                    .detail(said(why.clone(), why))
                    .since(*since);
                readings.list.push((id.clone(), Reading::Holds(so)));
            }
            readings
        },
        ..SERVER
    },
    Kind {
        word: "key_unused",
        name: ("Key unused", "密钥长期未使用"),
        sentence: ("When a key was not used for {level}", "密钥超过 {level} 未使用"),
        fields: &[number("level", ("For", "时间"), Unit::Days, &[30.0, 90.0, 180.0], (1.0, 3_650.0), 90.0)],
        default: Default { severity: Severity::Info, resolved: false, ..PLAIN },
        read: |view| {
            let limit = view.ms("level");
            let unused: Vec<_> = view
                .world
                .keys
                .iter()
                .filter(|(_, _, since)| view.now.millis_since(*since) >= limit)
                .collect();
            if unused.is_empty() {
                return Readings::clear();
            }
            let shown: Vec<String> = unused.iter().take(5).map(|(_, name, _)| cut(name, 40)).collect();
            let (n, length) = (unused.len(), span(limit));
            let more = if n > shown.len() { " …" } else { "" };
            let keys = if n == 1 { "key" } else { "keys" };
            Readings::so(
                So::new(said(
                    format!("{n} {keys} not used for {}", length.en),
                    format!("{n} 个密钥超过 {} 未使用", length.zh),
                ))
                .detail(said(format!("{}{more}", shown.join(", ")), format!("{}{more}", shown.join("、")))),
            )
        },
        ..SERVER
    },
];

fn server(view: &View<'_>, read: impl Fn(&ServerNow) -> Option<Reading>) -> Readings {
    match &view.world.server {
        Some(now) => read(now).map_or_else(Readings::clear, Readings::one),
        None => Readings::unknown(),
    }
}
