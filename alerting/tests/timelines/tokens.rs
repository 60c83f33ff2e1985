//! Tokens and what they cost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alerting::What::{Fired, Resolved, Worse};
use alerting::facts::{Fact, Human, Mostly, Usual};
use alerting::kinds::Want;
use protocol::{QUARTER_MILLIS, Timestamp};
use serde_json::json;
use store::Severity::{Error, Info, Warning};
use store::{Counts, DeviceUsage};

use crate::common::*;

impl Story {
    /// A device uses something now.
    fn uses(&mut self, n: usize, tokens: i64, usd: f64) -> &mut Self {
        self.used(n, self.now, tokens, 0, usd)
    }

    fn used(&mut self, n: usize, at: Timestamp, tokens: i64, cached: i64, usd: f64) -> &mut Self {
        self.change(n, |device| {
            let mut usage = device.usage.as_ref().map_or_else(
                || DeviceUsage { total: Counts::default(), recent: BTreeMap::new() },
                |usage| DeviceUsage::clone(usage),
            );
            let quarter = usage.recent.entry(at.0.div_euclid(QUARTER_MILLIS)).or_default();
            quarter.input += tokens - cached;
            quarter.cache_read += cached;
            #[expect(clippy::cast_possible_truncation, reason = "a test")]
            let nano = (usd * 1e9) as i64;
            quarter.cost_nano_usd += nano;
            quarter.unpriced += if usd > 0.0 { 0 } else { tokens };
            device.usage = Some(Arc::new(usage));
        })
    }

    fn wants(&mut self) -> Vec<Want> {
        self.engine.take_wants()
    }
}

fn mostly() -> Mostly {
    Mostly { model: "claude-sonnet".to_owned(), trigger: "cron".to_owned() }
}

fn usual(story: &Story, nano: f64, deviation: f64) -> Fact {
    let hour = Timestamp(story.now.0.div_euclid(HOUR) * HOUR);
    Fact::Usual(
        id(0),
        Usual { hour, spent: (nano, deviation), tokens: (1e5, 1e4), known: 5, mostly: Some(mostly()) },
    )
}

#[test]
fn a_budget_is_told_at_each_of_its_levels_once() {
    let daily = with(rule(1, "budget"), &[("amount", json!(10)), ("period", json!("day"))]);
    let mut story = Story::of(2, &[daily]);
    story.uses(0, 1000, 2.0).uses(1, 1000, 2.0).pass(MINUTE).expect(&[]);
    story.uses(1, 1000, 1.5).pass(MINUTE).expect(&[("budget", Fired, Info)]);
    assert_eq!(story.last().telling.title.en, "55% of the day's budget");
    story.uses(0, 1000, 3.0).pass(MINUTE).expect(&[("budget", Worse, Warning)]);
    story.uses(0, 1000, 3.0).pass(MINUTE).expect(&[("budget", Worse, Error)]);
    story.uses(0, 1000, 30.0).pass(MINUTE).expect(&[]);
    // The next day begins with nothing.
    story.pass(12 * HOUR).expect(&[("budget", Resolved, Error)]);
}

#[test]
fn of_a_month_what_was_before_today_is_looked_up() {
    let mut story = Story::new(&[with(rule(1, "budget"), &[("amount", json!(100))])]);
    story.uses(0, 1000, 6.0).pass(MINUTE).expect(&[]);
    let today = Timestamp(NOON.0 - 12 * HOUR);
    assert_eq!(story.wants(), [Want::Before(today)]);
    let before = Counts { cost_nano_usd: 45_000_000_000, ..Counts::default() };
    story.learn([Fact::Before(today, HashMap::from([(id(0), (before, before))]))]);
    story.pass(MINUTE).expect(&[("budget", Fired, Info)]);
    assert!(
        story.last().telling.detail.as_ref().unwrap().en.starts_with("$51.00 of $100"),
        "{:?}",
        story.last()
    );
}

#[test]
fn one_device_may_have_a_budget_of_its_own() {
    let own = with(rule(1, "device_budget"), &[("amount", json!(1_000_000)), ("measure", json!("tokens"))]);
    let mut story = Story::of(2, &[own]);
    story.uses(0, 700_000, 0.0).uses(1, 700_000, 0.0).expect(&[]);
    story.uses(1, 150_000, 0.0).expect(&[("device_budget", Fired, Warning)]);
    assert_eq!(story.last().key, key(1, 1));
    story.uses(1, 150_000, 0.0).expect(&[("device_budget", Worse, Error)]);
}

#[test]
fn a_budget_that_will_be_crossed_is_told_before_it_is() {
    let daily = with(rule(1, "budget_forecast"), &[("amount", json!(10)), ("period", json!("day"))]);
    let mut story = Story::new(&[daily]);
    story.uses(0, 1000, 4.0).pass(MINUTE).expect(&[]);
    story.uses(0, 1000, 2.0).pass(MINUTE).expect(&[("budget_forecast", Fired, Warning)]);
    assert_eq!(story.last().telling.title.en, "About $11.98 today");
    // It stays at that: by the evening it is not expected any more.
    story.pass(6 * HOUR).expect(&[("budget_forecast", Resolved, Warning)]);
}

#[test]
fn an_hour_is_compared_with_the_same_hour_of_other_weeks() {
    let mut story = Story::new(&[rule(1, "usage_anomaly")]);
    story.uses(0, 100_000, 1.9).expect(&[]);
    assert_eq!(story.wants(), [], "below its floor nobody asks");
    story.uses(0, 100_000, 2.0).expect(&[]);
    assert_eq!(story.wants(), [Want::Usual(id(0), NOON)]);
    // Usually 1.5 dollars, give or take 0.1: 3.9 is less than three times that.
    story.learn([usual(&story, 1.5e9, 0.1e9)]);
    story.expect(&[]);
    story.uses(0, 100_000, 1.0).expect(&[("usage_anomaly", Fired, Warning)]);
    assert_eq!(story.last().telling.title.en, "Spend 3.3× usual for this hour");
    let detail = story.last().telling.detail.clone().unwrap();
    assert_eq!(detail.en, "$4.90 in an hour; usually $1.50; mostly claude-sonnet by cron jobs.");
    assert_eq!(detail.zh, "一小时 $4.90，平时 $1.50；主要是 claude-sonnet（定时任务）。");
    // Where hours differ much, more is usual.
    story.learn([usual(&story, 1.5e9, 2.0e9)]);
    story.expect(&[("usage_anomaly", Resolved, Warning)]);
    // Of a new device nobody knows what is usual.
    let mut story = Story::new(&[rule(1, "usage_anomaly")]);
    story.uses(0, 100_000, 50.0);
    story.learn([Fact::Usual(
        id(0),
        Usual { hour: NOON, spent: (0.0, 0.0), tokens: (0.0, 0.0), known: 2, mostly: None },
    )]);
    story.expect(&[]);
}

#[test]
fn tokens_without_people_are_told_when_nobody_spoke_for_long() {
    let mut story = Story::new(&[rule(1, "idle_burn")]);
    story.uses(0, 400_000, 0.0).expect(&[]);
    story.uses(0, 200_000, 0.0).expect(&[]);
    assert_eq!(story.wants(), [Want::Human(id(0))]);
    let human = |story: &Story, ago: i64| {
        Fact::Human(
            id(0),
            Human { asked_at: story.now, last_at: Some(story.now.plus_millis(-ago)), mostly: Some(mostly()) },
        )
    };
    story.learn([human(&story, 5 * HOUR)]);
    story.expect(&[]);
    story.pass(20 * MINUTE).change(0, |_| {});
    assert_eq!(story.wants(), [Want::Human(id(0))], "after a while it is looked up again");
    story.learn([human(&story, 6 * HOUR)]);
    story.expect(&[("idle_burn", Fired, Warning)]);
    assert_eq!(story.last().telling.title.zh, "无人对话而消耗 600K token");
    story.learn([human(&story, MINUTE)]);
    story.expect(&[("idle_burn", Resolved, Warning)]);
}

#[test]
fn cache_hits_that_collapse_are_told_with_what_they_were() {
    let mut story = Story::new(&[rule(1, "cache_collapse")]);
    let before = NOON.plus_millis(-5 * HOUR);
    story.used(0, before, 1_000_000, 900_000, 0.0).expect(&[]);
    story.uses(0, 250_000, 0.0).expect(&[("cache_collapse", Fired, Warning)]);
    assert_eq!(story.last().telling.title.en, "Cache hits down to 0.0%");
    // Hardly anything read says nothing of the cache.
    story.pass(2 * HOUR).expect(&[("cache_collapse", Resolved, Warning)]);
}
