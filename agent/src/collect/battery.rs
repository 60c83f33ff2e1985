//! The battery, on Linux.

use protocol::Battery;

#[cfg(target_os = "linux")]
pub(super) fn read() -> Option<Battery> {
    let folders = std::fs::read_dir("/sys/class/power_supply").ok()?;
    let supplies: Vec<_> = folders
        .filter_map(|folder| {
            let folder = folder.ok()?.path();
            let field = |name: &str| {
                std::fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned())
            };
            supply(field)
        })
        .collect();
    combine(&supplies)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> Option<Battery> {
    None
}

/// One battery of the machine.
#[cfg(any(target_os = "linux", test))]
#[derive(Debug, Clone, PartialEq)]
struct Supply {
    pct: f64,
    /// Its size in whatever unit the driver uses, the same for all batteries of a machine.
    size: Option<f64>,
    state: &'static str,
}

/// A battery from the fields of its folder; `None` for a mains adapter, or the battery of a mouse.
#[cfg(any(target_os = "linux", test))]
fn supply(field: impl Fn(&str) -> Option<String>) -> Option<Supply> {
    let is_battery = field("type")? == "Battery" && field("scope").is_none_or(|scope| scope != "Device");
    let pct: f64 = field("capacity").filter(|_| is_battery)?.parse().ok()?;
    let state = match field("status").as_deref() {
        Some("Charging") => "charging",
        Some("Discharging") => "discharging",
        // Held below 100 % on purpose, or done: on mains either way.
        Some("Full" | "Not charging") => "full",
        _ => "unknown",
    };
    let size = field("energy_full").or_else(|| field("charge_full")).and_then(|text| text.parse().ok());
    Some(Supply { pct: pct.clamp(0.0, 100.0), size, state })
}

/// Several batteries as one: weighed by size where all sizes are known, and busy if one of them is.
#[cfg(any(target_os = "linux", test))]
fn combine(supplies: &[Supply]) -> Option<Battery> {
    let sizes: Option<Vec<f64>> = supplies.iter().map(|s| s.size.filter(|size| *size > 0.0)).collect();
    let sizes = sizes.unwrap_or_else(|| vec![1.0; supplies.len()]);
    let all: f64 = sizes.iter().sum();
    let filled: f64 = supplies.iter().zip(&sizes).map(|(supply, size)| supply.pct * size).sum();
    let pct = super::tidy(filled / all)?;
    let state = ["discharging", "charging", "unknown", "full"]
        .into_iter()
        .find(|state| supplies.iter().any(|supply| supply.state == *state))?;
    Some(Battery { pct, state: state.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &'static [(&str, &str)]) -> Option<Supply> {
        supply(|name| fields.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_the_machines_own_batteries_count() {
        let laptop = read(&[
            ("type", "Battery"),
            ("capacity", "57"),
            ("status", "Discharging"),
            ("energy_full", "50000000"),
        ]);
        assert_eq!(laptop, Some(Supply { pct: 57.0, size: Some(5e7), state: "discharging" }));
        assert_eq!(read(&[("type", "Mains"), ("online", "1")]), None);
        assert_eq!(read(&[("type", "Battery"), ("scope", "Device"), ("capacity", "80")]), None);
        assert_eq!(read(&[("type", "Battery"), ("status", "Full")]), None, "no charge known");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn several_batteries_make_one() {
        let supply = |pct, size, state| Supply { pct, size, state };
        let check = |supplies: &[Supply], expected: Option<(f64, &str)>| {
            let got = combine(supplies);
            assert_eq!(got.as_ref().map(|b| (b.pct, b.state.as_str())), expected);
        };
        check(&[], None);
        check(&[supply(50.0, None, "full")], Some((50.0, "full")));
        check(
            &[supply(100.0, Some(10.0), "full"), supply(40.0, Some(30.0), "charging")],
            Some((55.0, "charging")),
        );
        check(&[supply(100.0, None, "unknown"), supply(40.0, Some(30.0), "full")], Some((70.0, "unknown")));
    }
}
