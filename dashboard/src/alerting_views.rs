//! Rules, channels and pauses, as the API shows and takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{PauseKind, RuleBody, Scope, Severity, Step};
use utoipa::ToSchema;

use crate::api::alerts::SaidView;
use crate::openapi::words;
use crate::views::rfc3339;
use crate::{ChannelField, ChannelKind, DryMoment, DryRun, DrySeries, RuleField, RuleKind, Tried};

fn yes() -> bool {
    true
}

/// Which devices: those named, and those with one of the tags. Neither: all, and the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ScopeView {
    /// Named, by their ids.
    pub(crate) devices: Vec<String>,
    /// By tag.
    pub(crate) tags: Vec<String>,
}

impl From<&Scope> for ScopeView {
    fn from(scope: &Scope) -> Self {
        Self { devices: scope.devices.iter().map(ToString::to_string).collect(), tags: scope.tags.clone() }
    }
}

/// From when on an alert is graver than it began: from a level, or after a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct StepView {
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) severity: Severity,
    /// From this level on, in the unit of the rule's kind.
    #[serde(default)]
    pub(crate) level: Option<f64>,
    /// After so many seconds of firing.
    #[serde(default)]
    pub(crate) after_s: Option<u32>,
}

/// What people say of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RuleBodyView {
    #[serde(default)]
    pub(crate) scope: ScopeView,
    /// The values of its kind, by the words of its fields.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "Record<string, number | string>"))]
    #[schema(value_type = Object)]
    pub(crate) values: BTreeMap<String, Value>,
    /// Seconds that it must be so before the alert fires.
    #[serde(default)]
    pub(crate) for_s: u32,
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) severity: Severity,
    /// When it becomes graver; each graver than the one before.
    #[serde(default)]
    pub(crate) steps: Vec<StepView>,
    /// The ids of the channels that it is told to; `null`: those that take all.
    #[serde(default)]
    pub(crate) channels: Option<Vec<String>>,
    /// Seconds after which it is told again while it fires and nobody took note; `null`: never.
    #[serde(default)]
    pub(crate) remind_s: Option<u32>,
    /// Tell when it is over.
    #[serde(default = "yes")]
    pub(crate) tell_resolved: bool,
    /// Wait for the end of the quiet hours, unless it is graver than those let pass.
    #[serde(default = "yes")]
    pub(crate) quiet: bool,
    /// Judge also what happened long before it was told.
    #[serde(default)]
    pub(crate) late: bool,
}

impl From<&RuleBody> for RuleBodyView {
    fn from(body: &RuleBody) -> Self {
        let step =
            |step: &Step| StepView { severity: step.severity, level: step.level, after_s: step.after_s };
        Self {
            scope: (&body.scope).into(),
            values: body.values.clone(),
            for_s: body.for_s,
            severity: body.severity,
            steps: body.steps.iter().map(step).collect(),
            channels: body.channels.clone(),
            remind_s: body.remind_s,
            tell_resolved: body.tell_resolved,
            quiet: body.quiet,
            late: body.late,
        }
    }
}

/// What is judged, how gravely, and whom it is told to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RuleView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    /// What is judged, as one of the rule kinds.
    pub(crate) kind: String,
    /// It is judged.
    pub(crate) enabled: bool,
    /// Grows with each change; send it back with the next one.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    pub(crate) body: RuleBodyView,
    /// How many of its alerts fire now.
    pub(crate) firing: u32,
}

/// A rule to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewRule {
    /// One of the rule kinds.
    pub(crate) kind: String,
    /// It is judged.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    pub(crate) body: RuleBodyView,
}

/// What is to change about a rule; what is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RulePatch {
    /// The `rev` that was looked at: refused if somebody has changed it since.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    #[cfg_attr(test, ts(optional))]
    pub(crate) enabled: Option<bool>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) body: Option<RuleBodyView>,
}

/// Something that can be judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a kind, and all combinations occur"
)]
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RuleKindView {
    pub(crate) word: &'static str,
    pub(crate) name: SaidView,
    /// Its condition as a sentence. `{scope}`, `{for}` and the words of the fields in braces stand for what can be changed.
    pub(crate) sentence: SaidView,
    /// Of what it is judged.
    #[cfg_attr(test, ts(type = "\"device\" | \"fleet\" | \"server\""))]
    #[schema(schema_with = words::rule_of)]
    pub(crate) of: &'static str,
    /// It must be so for a time before it fires.
    pub(crate) lasts: bool,
    /// It has a `level` at which it fires and a `clear` at which it is over; steps may name levels.
    pub(crate) levels: bool,
    /// The stored past tells enough for a dry run.
    pub(crate) dry_run: bool,
    pub(crate) fields: Vec<RuleFieldView>,
    /// What a new rule of this kind is.
    pub(crate) default: RuleBodyView,
    /// A new server judges it.
    pub(crate) default_on: bool,
}

/// A value of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RuleFieldView {
    pub(crate) word: &'static str,
    pub(crate) label: SaidView,
    /// What its number counts, or `word`: one of `choices`.
    pub(crate) unit: &'static str,
    /// Values that are offered; of a word all that there are.
    pub(crate) choices: Vec<RuleChoiceView>,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// It may be left out.
    pub(crate) optional: bool,
}

/// A value that is offered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RuleChoiceView {
    #[cfg_attr(test, ts(type = "number | string"))]
    #[schema(schema_with = words::number_or_text)]
    pub(crate) value: Value,
    /// What it is called, where it is a word.
    pub(crate) label: Option<SaidView>,
}

impl From<RuleField> for RuleFieldView {
    fn from(field: RuleField) -> Self {
        let choice = |(value, label): (Value, Option<store::Said>)| RuleChoiceView {
            value,
            label: label.map(Into::into),
        };
        Self {
            word: field.word,
            label: field.label.into(),
            unit: field.unit,
            choices: field.choices.into_iter().map(choice).collect(),
            min: field.min,
            max: field.max,
            optional: field.optional,
        }
    }
}

impl From<RuleKind> for RuleKindView {
    fn from(kind: RuleKind) -> Self {
        Self {
            word: kind.word,
            name: kind.name.into(),
            sentence: kind.sentence.into(),
            of: kind.of,
            lasts: kind.lasts,
            levels: kind.levels,
            dry_run: kind.dry_run,
            fields: kind.fields.into_iter().map(Into::into).collect(),
            default: (&kind.default).into(),
            default_on: kind.default_on,
        }
    }
}

/// A rule to be tried on the stored past.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DryRunForm {
    /// One of the rule kinds.
    pub(crate) kind: String,
    pub(crate) body: RuleBodyView,
    /// The last so many days, up to 30.
    pub(crate) days: u32,
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DryRunView {
    #[schema(format = DateTime)]
    pub(crate) from: String,
    #[schema(format = DateTime)]
    pub(crate) to: String,
    /// Each time that it would have fired, oldest first, at most 1,000.
    pub(crate) moments: Vec<DryMomentView>,
    /// How often in all.
    pub(crate) count: u32,
    /// On how many devices.
    pub(crate) devices: u32,
    /// How long the longest took, in milliseconds.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) longest_ms: Option<i64>,
    /// What was measured on the device that it was about most, where there is a level.
    pub(crate) series: Option<DrySeriesView>,
    /// How many devices were judged.
    pub(crate) judged_devices: u32,
}

/// A rule would have fired.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DryMomentView {
    /// Absent: several devices, the fleet or the server.
    pub(crate) device: Option<String>,
    pub(crate) device_name: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) from: String,
    /// Absent: it would fire still.
    #[schema(format = DateTime)]
    pub(crate) to: Option<String>,
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) severity: Severity,
    /// What it would have said.
    pub(crate) title: SaidView,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DrySeriesView {
    pub(crate) device: String,
    pub(crate) device_name: String,
    /// When.
    pub(crate) at: Vec<String>,
    /// What; `null` where nothing was measured.
    pub(crate) values: Vec<Option<f64>>,
}

impl From<DryMoment> for DryMomentView {
    fn from(moment: DryMoment) -> Self {
        let (device, device_name) = moment.device.map(|(id, name)| (id.to_string(), name)).unzip();
        Self {
            device,
            device_name,
            from: rfc3339(moment.from),
            to: moment.to.map(rfc3339),
            severity: moment.severity,
            title: moment.title.into(),
        }
    }
}

impl From<DrySeries> for DrySeriesView {
    fn from(series: DrySeries) -> Self {
        Self {
            device: series.device.0.to_string(),
            device_name: series.device.1,
            at: series.at.into_iter().map(rfc3339).collect(),
            values: series.values,
        }
    }
}

impl From<DryRun> for DryRunView {
    fn from(run: DryRun) -> Self {
        Self {
            from: rfc3339(run.from),
            to: rfc3339(run.to),
            moments: run.moments.into_iter().map(Into::into).collect(),
            count: run.count,
            devices: run.devices,
            longest_ms: run.longest_ms,
            series: run.series.map(Into::into),
            judged_devices: run.judged_devices,
        }
    }
}

/// Where people are told. Its secrets are never shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertChannelView {
    pub(crate) id: String,
    /// One of the channel kinds.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// It is told.
    pub(crate) enabled: bool,
    /// Grows with each change; send it back with the next one.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    /// The values of its kind's form that are no secrets. Told to admins only: of viewers it is empty.
    #[cfg_attr(test, ts(type = "Record<string, string | number | boolean>"))]
    #[schema(value_type = Object)]
    pub(crate) settings: BTreeMap<String, Value>,
    /// The words of the secrets that it has.
    pub(crate) secrets: Vec<String>,
    #[cfg_attr(test, ts(type = "\"en\" | \"zh-CN\""))]
    #[schema(schema_with = words::language)]
    pub(crate) language: String,
    /// It is told only what is as grave as this, or graver.
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) least: Severity,
    /// It takes all rules that name no channels.
    pub(crate) takes_all: bool,
    /// It is told in quiet hours, too.
    pub(crate) always: bool,
    /// What it fails of, while it does.
    pub(crate) trouble: Option<ChannelTroubleView>,
}

/// A channel that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelTroubleView {
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// As the other side said it.
    pub(crate) why: String,
}

/// A channel to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewChannel {
    /// One of the channel kinds.
    pub(crate) kind: String,
    /// 1 to 60 characters.
    pub(crate) name: String,
    /// It is told.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// The values of its kind's form that are no secrets, by their words.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "Record<string, string | number | boolean>"))]
    #[schema(value_type = Object)]
    pub(crate) settings: BTreeMap<String, Value>,
    /// The secrets, by their words. They are not shown again.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
    #[cfg_attr(test, ts(type = "\"en\" | \"zh-CN\""))]
    #[schema(schema_with = words::language)]
    pub(crate) language: String,
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) least: Severity,
    /// It takes all rules that name no channels.
    pub(crate) takes_all: bool,
    /// It is told in quiet hours, too.
    #[serde(default)]
    pub(crate) always: bool,
}

/// What is to change about a channel; what is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelPatch {
    /// The `rev` that was looked at: refused if somebody has changed it since.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    #[cfg_attr(test, ts(optional))]
    pub(crate) name: Option<String>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) enabled: Option<bool>,
    /// All of them.
    #[cfg_attr(test, ts(optional, type = "Record<string, string | number | boolean>"))]
    #[schema(value_type = Option<Object>)]
    pub(crate) settings: Option<BTreeMap<String, Value>>,
    /// Those that are new; empty text takes one away.
    #[cfg_attr(test, ts(optional))]
    pub(crate) secrets: Option<BTreeMap<String, String>>,
    #[cfg_attr(test, ts(optional, type = "\"en\" | \"zh-CN\""))]
    pub(crate) language: Option<String>,
    #[cfg_attr(test, ts(optional, type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) least: Option<Severity>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) takes_all: Option<bool>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) always: Option<bool>,
}

/// Settings of a channel to be tried before they are saved.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelTest {
    /// The channel whose secrets stand for those that are not given.
    #[cfg_attr(test, ts(optional))]
    pub(crate) id: Option<String>,
    /// One of the channel kinds.
    pub(crate) kind: String,
    #[serde(default)]
    #[cfg_attr(test, ts(type = "Record<string, string | number | boolean>"))]
    #[schema(value_type = Object)]
    pub(crate) settings: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
    #[cfg_attr(test, ts(type = "\"en\" | \"zh-CN\""))]
    #[schema(schema_with = words::language)]
    pub(crate) language: String,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TriedView {
    /// It arrived.
    pub(crate) ok: bool,
    /// What the other side said, or why it was not reached.
    pub(crate) answer: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) took_ms: i64,
}

impl From<Tried> for TriedView {
    fn from(Tried { ok, answer, took_ms }: Tried) -> Self {
        Self { ok, answer, took_ms }
    }
}

/// A way to tell people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelKindView {
    pub(crate) word: &'static str,
    pub(crate) name: SaidView,
    /// What one needs for it, and where to get that.
    pub(crate) help: SaidView,
    pub(crate) fields: Vec<ChannelFieldView>,
}

/// A field of a channel's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelFieldView {
    pub(crate) word: &'static str,
    pub(crate) label: SaidView,
    /// Where to find what goes in.
    pub(crate) help: Option<SaidView>,
    /// An example.
    pub(crate) placeholder: &'static str,
    #[cfg_attr(
        test,
        ts(type = "\"text\" | \"lines\" | \"secret\" | \"url\" | \"number\" | \"toggle\" | \"choice\"")
    )]
    #[schema(schema_with = words::field_kind)]
    pub(crate) kind: &'static str,
    /// Of a choice.
    pub(crate) choices: Vec<ChannelChoiceView>,
    /// Of a number: the smallest.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) min: Option<i64>,
    /// Of a number: the largest.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) max: Option<i64>,
    /// It must not be empty.
    pub(crate) required: bool,
    /// What it is without a word.
    pub(crate) default: &'static str,
}

/// One of the words of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ChannelChoiceView {
    pub(crate) word: &'static str,
    pub(crate) label: SaidView,
}

impl From<ChannelField> for ChannelFieldView {
    fn from(field: ChannelField) -> Self {
        let (min, max) = field.range.unzip();
        let choice =
            |(word, label): (&'static str, store::Said)| ChannelChoiceView { word, label: label.into() };
        Self {
            word: field.word,
            label: field.label.into(),
            help: field.help.map(Into::into),
            placeholder: field.placeholder,
            kind: field.kind,
            choices: field.choices.into_iter().map(choice).collect(),
            min,
            max,
            required: field.required,
            default: field.default,
        }
    }
}

impl From<ChannelKind> for ChannelKindView {
    fn from(kind: ChannelKind) -> Self {
        Self {
            word: kind.word,
            name: kind.name.into(),
            help: kind.help.into(),
            fields: kind.fields.into_iter().map(Into::into).collect(),
        }
    }
}

/// When a pause is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) enum PauseWhen {
    /// Once.
    Once {
        #[schema(format = DateTime)]
        from: String,
        #[schema(format = DateTime)]
        to: String,
    },
    /// Every week.
    Weekly {
        /// On these days, Monday is 1.
        days: Vec<u8>,
        /// From this time of day on, `HH:MM`.
        from: String,
        /// For so long; it may go on into the next day.
        minutes: u32,
        /// By the clocks of this time zone.
        zone: String,
    },
}

/// When people want to hear nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PauseView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    /// `silence`: alerts fire and nobody is told. `maintenance`: they do not fire.
    #[cfg_attr(test, ts(type = "\"silence\" | \"maintenance\""))]
    #[schema(schema_with = words::pause_kind)]
    pub(crate) kind: &'static str,
    pub(crate) scope: ScopeView,
    /// Of these rules only, by number; none: all.
    #[cfg_attr(test, ts(type = "Array<number>"))]
    pub(crate) rules: Vec<i64>,
    pub(crate) when: PauseWhen,
    /// Why.
    pub(crate) note: String,
    pub(crate) made_by: String,
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    /// Grows with each change; send it back with the next one.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    /// Until when it lasts, if it lasts now.
    #[schema(format = DateTime)]
    pub(crate) active_until: Option<String>,
}

/// A pause to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct NewPause {
    #[cfg_attr(test, ts(type = "\"silence\" | \"maintenance\""))]
    #[schema(schema_with = words::pause_kind)]
    pub(crate) kind: PauseKind,
    #[serde(default)]
    pub(crate) scope: ScopeView,
    #[serde(default)]
    #[cfg_attr(test, ts(type = "Array<number>"))]
    pub(crate) rules: Vec<i64>,
    pub(crate) when: PauseWhen,
    #[serde(default)]
    pub(crate) note: String,
}

/// What is to change about a pause; what is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PausePatch {
    /// The `rev` that was looked at: refused if somebody has changed it since.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
    #[cfg_attr(test, ts(optional))]
    pub(crate) scope: Option<ScopeView>,
    #[cfg_attr(test, ts(optional, type = "Array<number>"))]
    pub(crate) rules: Option<Vec<i64>>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) when: Option<PauseWhen>,
    #[cfg_attr(test, ts(optional))]
    pub(crate) note: Option<String>,
}

/// What holds for all rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlertingView {
    /// The time zone of days, quiet hours and digests; empty: UTC.
    pub(crate) zone: String,
    /// Address at which people open the page: for links in notifications. Empty: none.
    pub(crate) url: String,
    /// Quiet hours; `null`: there are none.
    pub(crate) quiet: Option<QuietHoursView>,
    /// What happened, in one message; `null`: none is sent.
    pub(crate) digest: Option<DigestView>,
    /// Grows with each change: refused if somebody has changed it since.
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) rev: i64,
}

/// At night nobody is woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct QuietHoursView {
    /// From this time of day, `HH:MM` ...
    pub(crate) from: String,
    /// ... until this one.
    pub(crate) to: String,
    /// What is as grave as this is told all the same.
    #[cfg_attr(test, ts(type = "\"critical\" | \"error\" | \"warning\" | \"info\""))]
    #[schema(schema_with = words::severity)]
    pub(crate) passes: Severity,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DigestView {
    /// Each `day`, or each Monday (`week`).
    #[cfg_attr(test, ts(type = "\"day\" | \"week\""))]
    #[schema(schema_with = words::digest_every)]
    pub(crate) every: store::DigestEvery,
    /// At this time of day, `HH:MM`.
    pub(crate) at: String,
    /// To these channels, by id.
    pub(crate) channels: Vec<String>,
}

/// A part of the deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeliveryListView {
    pub(crate) items: Vec<DeliveryView>,
    /// Send it as `cursor` for what comes after; absent at the end.
    pub(crate) next: Option<String>,
}

/// One notification to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeliveryView {
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) no: i64,
    /// The same in each attempt: whoever gets it twice knows by it.
    pub(crate) id: String,
    /// The channel's id.
    pub(crate) channel: String,
    pub(crate) channel_name: Option<String>,
    /// The alert's number.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub(crate) alert: Option<i64>,
    /// Why it is told: `fired`, `worse`, `changed`, `reminder`, `resolved`, `digest` or `test`.
    pub(crate) occasion: String,
    /// In one line.
    pub(crate) title: Option<SaidView>,
    /// The device that it is about, as it was called then.
    pub(crate) device_name: Option<String>,
    #[cfg_attr(test, ts(type = "\"waiting\" | \"held\" | \"sent\" | \"failed\" | \"skipped\""))]
    #[schema(schema_with = words::delivery_state)]
    pub(crate) state: &'static str,
    /// Why it is held, was skipped or was given up, in a word.
    pub(crate) why: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) made_at: String,
    /// When it is tried (again).
    #[schema(format = DateTime)]
    pub(crate) due_at: String,
    #[schema(format = DateTime)]
    pub(crate) done_at: Option<String>,
    /// Oldest first; of many the last 50.
    pub(crate) attempts: Vec<DeliveryAttemptView>,
}

/// One try to deliver it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DeliveryAttemptView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub(crate) took_ms: i64,
    /// It arrived.
    pub(crate) ok: bool,
    /// What the other side said, or why it was not reached.
    pub(crate) answer: String,
}
