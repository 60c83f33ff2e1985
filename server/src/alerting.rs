//! Who judges and tells, as the page is told of it.

use std::collections::BTreeMap;

use dashboard::{ChannelKind, ChannelTrouble, DryRun, FieldProblem, Later, NoDryRun, RuleKind, Tried};
use serde_json::Value;
use store::RuleBody;

/// What the page asks of alerting.
pub(crate) struct ForThePage;

impl dashboard::Alerting for ForThePage {
    fn rule_kinds(&self) -> Vec<RuleKind> {
        vec![]
    }

    fn check_rule(&self, _: &str, _: &RuleBody) -> Vec<FieldProblem> {
        vec![]
    }

    fn dry_run<'a>(&'a self, _: &'a str, _: &'a RuleBody, _: u32) -> Later<'a, Result<DryRun, NoDryRun>> {
        Box::pin(async { Err(NoDryRun::NotStored) })
    }

    fn channel_kinds(&self) -> Vec<ChannelKind> {
        vec![]
    }

    fn check_channel(&self, _: &str, _: &BTreeMap<String, Value>) -> Vec<FieldProblem> {
        vec![]
    }

    fn try_channel<'a>(&'a self, _: &'a str, _: &'a BTreeMap<String, Value>, _: &'a str) -> Later<'a, Tried> {
        Box::pin(async { Tried { ok: false, answer: String::new(), took_ms: 0 } })
    }

    fn channel_troubles(&self) -> BTreeMap<String, ChannelTrouble> {
        BTreeMap::new()
    }
}
