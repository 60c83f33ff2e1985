//! What a machine's OpenClaw uses: a function of the machine, its life and the quarter of an hour.

use protocol::{QUARTER_MILLIS, Timestamp, UsageRow, UsageTrigger};
use store::{Counts, Prices};

use crate::cast::{Machine, Pay};
use crate::dice::{Dice, hash};
use crate::life::{DAY, HOUR, Life};
use crate::sample::busy;

/// Why tokens are used, by which model.
struct Habit {
    provider: &'static str,
    model: &'static str,
    agent: &'static str,
    trigger: UsageTrigger,
    /// Of the day's tokens.
    share: f64,
}

fn habits(machine: &Machine) -> Vec<Habit> {
    let habit = |(provider, model), agent, trigger, share| Habit { provider, model, agent, trigger, share };
    let (main, small, deep) = match (machine.pay, machine.seed % 3) {
        (Pay::Recorded, 0) => (
            ("anthropic", "claude-sonnet-4-6"),
            ("google", "gemini-2.5-flash"),
            ("anthropic", "claude-opus-4-8"),
        ),
        (Pay::Recorded, 1) => (("openai", "gpt-5.4"), ("openai", "gpt-5.4-mini"), ("openai", "gpt-5.5")),
        (Pay::Recorded, _) => {
            (("anthropic", "claude-sonnet-4-6"), ("openai", "gpt-5.4-mini"), ("openai", "gpt-5.5"))
        }
        (Pay::Estimated, _) => {
            (("openai", "gpt-5.4"), ("google", "gemini-2.5-flash"), ("anthropic", "claude-opus-4-8"))
        }
        (Pay::Flat, _) => {
            (("openai-codex", "gpt-5.5"), ("openai-codex", "gpt-5.4-mini"), ("openai-codex", "gpt-5.3-codex"))
        }
        (Pay::Unpriced, _) => {
            (("ollama", "qwen3-coder:30b"), ("ollama", "qwen3:8b"), ("openai-compatible", "glm-4.7-air"))
        }
    };
    let mut habits = vec![
        habit(main, "main", UsageTrigger::Human, 0.58),
        habit(small, "main", UsageTrigger::Heartbeat, 0.05),
        habit(main, "main", UsageTrigger::Cron, 0.17),
        habit(deep, "researcher", UsageTrigger::SubAgent, 0.2),
    ];
    if machine.tokens > 3e6 {
        habits.push(habit(main, "work:assistant", UsageTrigger::Human, 0.35));
    }
    habits
}

const ODD: [&str; 4] =
    ["<b>model</b>&nbsp;'\";--", "=cmd|'/C calc'!A0", "\u{202e}ledom\u{202c} שלום 🦞", "nul\0 in\u{7}side"];

/// In the night of five days ago a job ran wild here.
pub(crate) const WILD: &str = "ci-runner-claw";
const WILD_DAYS_AGO: i64 = 5;

/// How much more than usual a job uses.
fn wildness(machine: &Machine, end: i64, quarter: i64) -> f64 {
    let day = end.div_euclid(DAY) * DAY - WILD_DAYS_AGO * DAY;
    let wild = machine.name == WILD && (day + HOUR..day + 9 * HOUR).contains(&quarter);
    if wild { 240.0 } else { 1.0 }
}

/// How much of the day's tokens of a habit a quarter gets.
fn share_of_day(machine: &Machine, habit: &Habit, quarter: i64, dice: &mut Dice) -> f64 {
    let spread = 0.3 + 2.2 * dice.unit().powi(2);
    let local = (quarter + machine.zone_h * HOUR).rem_euclid(DAY) / QUARTER_MILLIS;
    match habit.trigger {
        UsageTrigger::Human | UsageTrigger::SubAgent => {
            let share = if habit.trigger == UsageTrigger::Human { 0.62 } else { 0.18 };
            if dice.chance(busy(machine, quarter) * share) { spread / (48.0 * share) } else { 0.0 }
        }
        UsageTrigger::Heartbeat if local % 8 == 0 => spread / 14.0,
        UsageTrigger::Cron if [13, 36, 72].contains(&local) => spread / 3.4,
        UsageTrigger::Heartbeat | UsageTrigger::Cron | UsageTrigger::Unknown => 0.0,
    }
}

/// The totals of a quarter as they stand at `now`: what is told again later is never less.
pub(crate) fn rows(
    machine: &Machine,
    life: &Life,
    prices: &Prices,
    end: i64,
    quarter: i64,
    now: i64,
) -> Vec<UsageRow> {
    if quarter < life.born || !life.works(quarter) || machine.tokens <= 0.0 {
        return Vec::new();
    }
    let passed = ((now - quarter) as f64 / QUARTER_MILLIS as f64).clamp(0.0, 1.0);
    let mut rows = Vec::new();
    for (n, habit) in habits(machine).iter().enumerate() {
        let mut dice = Dice::new(hash(machine.seed, 40 + n as u64), quarter.cast_unsigned());
        let mut share = share_of_day(machine, habit, quarter, &mut dice);
        if habit.trigger == UsageTrigger::Cron {
            let wild = wildness(machine, end, quarter);
            share = if wild > 1.0 { wild / 96.0 * (0.6 + dice.unit()) } else { share };
        }
        let growth = 1.08 - 0.011 * ((end - quarter).max(0) as f64 / DAY as f64);
        let tokens = machine.tokens * habit.share * share * growth.max(0.3);
        let turns = (tokens / 42_000.0).ceil();
        let done = (turns * passed).floor();
        if done < 1.0 {
            continue;
        }
        let tokens = tokens * done / turns;
        let part = |share: f64| (tokens * share) as u64;
        let cached = 0.7 + 0.18 * dice.unit();
        let output = part(0.035 + 0.03 * dice.unit());
        let odd = ODD.get(n).filter(|_| machine.hostile).map(|odd| (*odd).to_owned());
        let mut row = UsageRow {
            quarter: Timestamp(quarter),
            provider: habit.provider.to_owned(),
            agent: odd.clone().unwrap_or_else(|| habit.agent.to_owned()),
            model: odd.map_or_else(
                || habit.model.to_owned(),
                |odd| odd.chars().cycle().take(if n == 0 { 256 } else { 30 }).collect(),
            ),
            trigger: habit.trigger,
            turns: done as u64,
            error_turns: u64::from(dice.chance(0.03)),
            unmetered_turns: if machine.pay == Pay::Unpriced { (done * 0.3) as u64 } else { 0 },
            input: part((1.0 - cached) * 0.45),
            output,
            cache_read: part(cached),
            cache_write: part((1.0 - cached) * 0.4),
            reasoning: output / 3,
            cost_nano_usd: 0,
            unpriced: 0,
        };
        row.price(prices, machine.pay);
        rows.push(row);
    }
    rows
}

trait Priced {
    fn price(&mut self, prices: &Prices, pay: Pay);
}

impl Priced for UsageRow {
    /// What OpenClaw writes down: the cost, or that it knows none.
    fn price(&mut self, prices: &Prices, pay: Pay) {
        let signed = |n: u64| i64::try_from(n).unwrap_or(0);
        let tokens = self.input + self.output + self.cache_read + self.cache_write;
        let counts = Counts {
            turns: signed(self.turns),
            input: signed(self.input),
            output: signed(self.output),
            cache_read: signed(self.cache_read),
            cache_write: signed(self.cache_write),
            unpriced: signed(tokens),
            ..Counts::default()
        };
        let known = prices.estimate(&self.provider, &self.model, self.quarter, &counts).nano_usd;
        match (pay, u64::try_from(known)) {
            (Pay::Recorded, Ok(known @ 1..)) => self.cost_nano_usd = known,
            _ => self.unpriced = tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::machines;

    #[test]
    fn a_day_uses_about_what_it_should_and_totals_only_grow() {
        let (end, prices) = (1_800_000_000_000, Prices::embedded());
        for (n, machine) in machines(40, 7, true).iter().enumerate() {
            let life = Life::new(machine, n, end, 40);
            let mut all = 0;
            for quarter in (end - 20 * DAY..end).step_by(usize::try_from(QUARTER_MILLIS).unwrap()) {
                let quarter = quarter / QUARTER_MILLIS * QUARTER_MILLIS;
                let half = rows(machine, &life, &prices, end, quarter, quarter + QUARTER_MILLIS / 2);
                let whole = rows(machine, &life, &prices, end, quarter, quarter + QUARTER_MILLIS);
                for row in &half {
                    let later = whole
                        .iter()
                        .find(|r| (&r.model, &r.agent, r.trigger) == (&row.model, &row.agent, row.trigger))
                        .unwrap();
                    assert!(
                        row.counts().iter().zip(later.counts()).all(|(a, b)| *a <= b),
                        "{row:?} {later:?}"
                    );
                }
                all += whole.iter().map(|r| r.input + r.output + r.cache_read + r.cache_write).sum::<u64>();
            }
            let day = all as f64 / 20.0;
            assert!(machine.name == WILD || day <= machine.tokens * 2.5, "{}: {day}", machine.name);
        }
    }
}
