//! Chance that comes out the same each time: from a seed, and from what it decides about.

/// The finalizer of `SplitMix64`: each bit of the result depends on each of the argument.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number for a seed and what it is about.
pub(crate) fn hash(seed: u64, about: u64) -> u64 {
    mix(seed ^ mix(about.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// A number for a word.
pub(crate) fn word(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| mix(sum ^ u64::from(byte)))
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A line without corners through random points, one each `period`: -1 to 1.
pub(crate) fn wave(seed: u64, at: i64, period: i64) -> f64 {
    let (step, within) = (at.div_euclid(period), at.rem_euclid(period));
    let point = |n: i64| unit(hash(seed, n.cast_unsigned())) * 2.0 - 1.0;
    let x = within as f64 / period as f64;
    let s = x * x * (3.0 - 2.0 * x);
    point(step) * (1.0 - s) + point(step + 1) * s
}

/// Throws one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, about: u64) -> Self {
        Self(hash(seed, about))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// From `low`, below `high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low) as f64) as i64
    }

    /// Short ones are common, long ones rare; the mean is about a quarter of the way.
    pub(crate) fn mostly_short(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit().powi(3) * (high - low) as f64) as i64
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get((self.unit() * from.len() as f64) as usize)
    }
}
