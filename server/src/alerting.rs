//! Who judges and tells: put together, and as the page is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ::alerting::channels::{self, FieldKind, Language, Outside, Reach, Voice, Web};
use ::alerting::facts::ServerNow;
use ::alerting::kinds::{self, Of, Unit};
use ::alerting::{Deliveries, DryRunError, Judge, Server, Troubles};
use bytes::Bytes;
use dashboard::{
    BackupHealth, ChannelField, ChannelKind, ChannelTrouble, DatabaseHealth, DryMoment, DryRun, DrySeries,
    FieldProblem, Later, NoDryRun, RuleField, RuleKind, Tried,
};
use protocol::{Publication, TopicName};
use serde_json::{Value, json};
use store::{RuleBody, Said, Store, Zone};
use tokio::sync::watch;

use crate::backups::{self, Keeping};
use crate::config::Config;
use crate::tls::Certificate;

/// All of alerting, ready to run.
pub(crate) struct Parts {
    pub(crate) judge: Judge,
    pub(crate) deliveries: Deliveries,
    pub(crate) for_the_page: ForThePage,
}

/// What alerting must know of the rest of the server.
pub(crate) struct Neighbours<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: &'a Store,
    pub(crate) gate: &'a broker::Handle,
    pub(crate) recorder: &'a recorder::Handle,
    pub(crate) keeping: &'a Keeping,
    pub(crate) certificate: &'a Certificate,
}

/// Puts it together, with the first rules and channels where there were none.
pub(crate) async fn assemble(near: &Neighbours<'_>) -> Result<Parts, store::Error> {
    let Neighbours { config, store, gate, .. } = near;
    let publish = {
        let gate = (*gate).clone();
        Arc::new(move |below: String, payload: Vec<u8>| {
            let topic = TopicName::parse(&format!("{}/{below}", gate.topic_root()));
            let told = match topic {
                Ok(topic) => {
                    gate.publish(&Publication { topic, payload: Bytes::from(payload), retain: false });
                    Ok(())
                }
                Err(error) => Err(format!("{below} is no topic: {error}")),
            };
            Box::pin(async move { told }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        })
    };
    let outside = Outside {
        web: Web::system(Reach { private: config.alerting.allow_private_addresses }),
        data_dir: config.data_dir.clone(),
        publish,
        clock: store.clock().clone(),
    };
    let deliveries = Deliveries::new((*store).clone(), outside.clone());
    let troubles = deliveries.troubles();
    let judge = Judge::start((*store).clone(), server(near), deliveries.troubles()).await?;
    let for_the_page = ForThePage { store: (*store).clone(), outside, troubles };
    Ok(Parts { judge, deliveries, for_the_page })
}

fn server(near: &Neighbours<'_>) -> Server {
    let (gate, for_addresses) = (near.gate.clone(), near.gate.clone());
    let (recorder, keeping, certificate) =
        (near.recorder.clone(), near.keeping.clone(), near.certificate.clone());
    let (data_dir, keep) = (near.config.data_dir.clone(), near.config.store.min_free_bytes);
    Server {
        now: Arc::new(move || {
            let (database, backup) = keeping.now();
            let failed = (backup == BackupHealth::Failed)
                .then(|| backups::last_run(&data_dir).and_then(|last| last.error).unwrap_or_default());
            let trouble = recorder.trouble();
            ServerNow {
                disk_low: trouble == Some(recorder::Trouble::DiskLow),
                disk_free: store::free_bytes(&data_dir).map(|free| (free, keep)),
                // Of a full disk there is a rule of its own.
                recording_fails_since: recorder
                    .failing_since()
                    .filter(|_| trouble != Some(recorder::Trouble::DiskLow)),
                damaged: database == DatabaseHealth::Damaged,
                engine_dead: !gate.engine_alive(),
                inbox_pct: Some(gate.inbox_pct()),
                backup_failed: failed,
                certificate_until: certificate.ends_at(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }
        }),
        address: Arc::new(move |device| for_addresses.address_of(device)),
    }
}

/// What the page asks of alerting.
pub(crate) struct ForThePage {
    store: Store,
    outside: Outside,
    troubles: watch::Receiver<Troubles>,
}

fn said((en, zh): (&str, &str)) -> Said {
    Said { en: en.to_owned(), zh: zh.to_owned() }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "percent",
        Unit::Seconds => "seconds",
        Unit::Minutes => "minutes",
        Unit::Hours => "hours",
        Unit::Days => "days",
        Unit::Usd => "usd",
        Unit::Tokens => "tokens",
        Unit::Count => "count",
        Unit::Times => "times",
        Unit::Mib => "mib",
        Unit::Word(_) => "word",
    }
}

fn rule_field(field: &kinds::Field) -> RuleField {
    let choices = match field.unit {
        Unit::Word(words) => words.iter().map(|(word, text)| (json!(word), Some(said(*text)))).collect(),
        _ => field.offered.iter().map(|value| (json!(value), None)).collect(),
    };
    RuleField {
        word: field.word,
        label: said(field.label),
        unit: unit(field.unit),
        choices,
        min: field.min,
        max: field.max,
        optional: false,
    }
}

fn channel_field(field: &channels::Field) -> ChannelField {
    let (kind, choices, range) = match field.kind {
        FieldKind::Text => ("text", vec![], None),
        FieldKind::Lines => ("lines", vec![], None),
        FieldKind::Secret => ("secret", vec![], None),
        FieldKind::Url => ("url", vec![], None),
        FieldKind::Number { min, max } => ("number", vec![], Some((min, max))),
        FieldKind::Toggle => ("toggle", vec![], None),
        FieldKind::Choice(words) => {
            ("choice", words.iter().map(|(word, text)| (*word, said(*text))).collect(), None)
        }
    };
    ChannelField {
        word: field.word,
        label: said(field.label),
        help: field.help.map(said),
        placeholder: field.placeholder,
        kind,
        choices,
        range,
        required: field.required,
        default: field.default,
    }
}

impl dashboard::Alerting for ForThePage {
    fn rule_kinds(&self) -> Vec<RuleKind> {
        let kind = |kind: &kinds::Kind| RuleKind {
            word: kind.word,
            name: said(kind.name),
            sentence: said(kind.sentence),
            of: match kind.of {
                Of::Device => "device",
                Of::Fleet => "fleet",
                Of::Server => "server",
            },
            lasts: kind.lasts,
            levels: kind.levels,
            dry_run: kind.from_past,
            fields: kind.fields.iter().map(rule_field).collect(),
            default: kind.body(),
            default_on: kind.default.on,
        };
        kinds::kinds().map(kind).collect()
    }

    fn check_rule(&self, kind: &str, body: &RuleBody) -> Vec<FieldProblem> {
        let Some(kind) = kinds::kind(kind) else {
            let message = "There is no such kind of rule.".to_owned();
            return vec![FieldProblem { field: "kind".to_owned(), message }];
        };
        kind.check(body).into_iter().map(|(field, message)| FieldProblem { field, message }).collect()
    }

    fn dry_run<'a>(
        &'a self,
        kind: &'a str,
        body: &'a RuleBody,
        days: u32,
    ) -> Later<'a, Result<DryRun, NoDryRun>> {
        Box::pin(async move {
            let run = ::alerting::dry_run(&self.store, kind, body, days).await;
            let run = run.map_err(|error| match error {
                DryRunError::NotStored => NoDryRun::NotStored,
                DryRunError::Store(store::Error::TooSlow { .. }) => NoDryRun::TooSlow,
                DryRunError::Store(_) => NoDryRun::Failed,
            })?;
            let moment = |moment: ::alerting::DryMoment| DryMoment {
                device: moment.device,
                from: moment.from,
                to: moment.to,
                severity: moment.severity,
                title: moment.title,
            };
            Ok(DryRun {
                from: run.from,
                to: run.to,
                count: run.count,
                devices: run.devices,
                longest_ms: run.longest_ms,
                moments: run.moments.into_iter().map(moment).collect(),
                series: run.series.map(|(device, at, values)| DrySeries { device, at, values }),
                judged_devices: run.judged_devices,
            })
        })
    }

    fn channel_kinds(&self) -> Vec<ChannelKind> {
        let kind = |kind: &&channels::ChannelKind| ChannelKind {
            word: kind.word,
            name: said(kind.name),
            help: said(kind.help),
            fields: kind.form().map(channel_field).collect(),
        };
        channels::kinds().iter().map(kind).collect()
    }

    fn check_channel(&self, kind: &str, settings: &BTreeMap<String, Value>) -> Vec<FieldProblem> {
        let problems = channels::check(kind, settings).err().unwrap_or_default();
        problems.into_iter().map(|p| FieldProblem { field: p.field, message: p.message }).collect()
    }

    fn try_channel<'a>(
        &'a self,
        kind: &'a str,
        settings: &'a BTreeMap<String, Value>,
        language: &'a str,
    ) -> Later<'a, Tried> {
        Box::pin(async move {
            let start = Instant::now();
            // Without it the times are of UTC: that is no reason not to try.
            let zone =
                self.store.alerting_settings().await.map(|(settings, _)| settings.zone).unwrap_or_default();
            let zone = Zone::parse(&zone).unwrap_or_else(Zone::utc);
            let voice = Voice { language: Language::parse(language), zone };
            let tried = ::alerting::try_channel(kind, settings, &voice, &self.outside).await;
            let (ok, answer) = match tried.outcome {
                Ok(arrived) => (true, arrived.answer),
                Err(failed) => (false, failed.why),
            };
            Tried { ok, answer, took_ms: i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX) }
        })
    }

    fn channel_troubles(&self) -> BTreeMap<String, ChannelTrouble> {
        let troubles = self.troubles.borrow().clone();
        let told = |(id, t): (String, ::alerting::ChannelTrouble)| {
            (id, ChannelTrouble { since: t.failing_since, why: t.why })
        };
        troubles.into_iter().map(told).collect()
    }
}
