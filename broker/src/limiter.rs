//! How many connections per second are let in, per address and overall, before TLS costs anything.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Addresses that are remembered. When it is full, those whose bucket is full again are forgotten; if all are busy,
/// a new address shares the overall limit only.
const MAX_ADDRESSES: usize = 65_536;

/// A token bucket: `per_second` on average, `burst` at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate.per_second).min(rate.burst);
        self.at = now;
    }
}

#[derive(Debug)]
pub(crate) struct Limiter {
    overall_rate: Rate,
    address_rate: Rate,
    overall: Bucket,
    addresses: HashMap<IpAddr, Bucket>,
    swept_at: Instant,
}

impl Limiter {
    pub(crate) fn new(address_rate: Rate, overall_rate: Rate, now: Instant) -> Self {
        let overall = Bucket { left: overall_rate.burst, at: now };
        Self { overall_rate, address_rate, overall, addresses: HashMap::new(), swept_at: now }
    }

    /// Whether one more connection from this address is let in now.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        let address = subnet(address);
        if address.is_loopback() {
            return true;
        }
        self.overall.refill(self.overall_rate, now);
        if self.overall.left < 1.0 {
            return false;
        }
        let rate = self.address_rate;
        // At most once a second: looking at all of them for each connection would be an attack of its own.
        if self.addresses.len() >= MAX_ADDRESSES && now >= self.swept_at + Duration::from_secs(1) {
            self.swept_at = now;
            self.addresses.retain(|_, bucket| {
                bucket.refill(rate, now);
                bucket.left < rate.burst
            });
        }
        let full = self.addresses.len() >= MAX_ADDRESSES;
        match self.addresses.get_mut(&address) {
            Some(bucket) => {
                bucket.refill(rate, now);
                if bucket.left < 1.0 {
                    return false;
                }
                bucket.left -= 1.0;
            }
            None if full => {}
            None => {
                self.addresses.insert(address, Bucket { left: rate.burst - 1.0, at: now });
            }
        }
        self.overall.left -= 1.0;
        true
    }
}

/// One host owns a whole /64 of IPv6.
pub(crate) fn subnet(address: IpAddr) -> IpAddr {
    match address {
        // `::1` must stay what it is.
        IpAddr::V4(_) | IpAddr::V6(Ipv6Addr::LOCALHOST) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
            || IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            IpAddr::V4,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_devices_behind_one_address_are_back_in_15_s() {
        let start = Instant::now();
        let config = crate::Config::default();
        let mut limiter = Limiter::new(config.address_rate(), config.overall_rate(), start);
        let address: IpAddr = "203.0.113.9".parse().unwrap();
        let mut admitted = 0;
        // Each refused device tries again after a second.
        for tick in 0..15_000u64 {
            let now = start + Duration::from_millis(tick);
            if admitted < 10_000 && limiter.admit(address, now) {
                admitted += 1;
            }
        }
        assert_eq!(admitted, 10_000);
    }

    #[test]
    fn one_address_cannot_use_up_what_others_need() {
        let start = Instant::now();
        let (address, overall) =
            (Rate { per_second: 1.0, burst: 3.0 }, Rate { per_second: 10.0, burst: 10.0 });
        let mut limiter = Limiter::new(address, overall, start);
        let greedy: IpAddr = "2001:db8::1".parse().unwrap();
        let same_host: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "203.0.113.9".parse().unwrap();
        let admitted = (0..10).filter(|_| limiter.admit(greedy, start)).count();
        assert_eq!(admitted, 3);
        assert!(!limiter.admit(same_host, start));
        assert!(limiter.admit(other, start));
        assert!(limiter.admit(greedy, start + Duration::from_secs(1)));
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(limiter.admit(own.parse().unwrap(), start), "{own}");
        }
    }
}
