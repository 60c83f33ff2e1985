//! Temperature sensors.

use protocol::{Temperature, limits};
use sysinfo::Components;

use super::{clip, tidy};

#[derive(Default)]
pub(super) struct Meter {
    components: Option<Components>,
}

impl Meter {
    pub(super) fn read(&mut self) -> Vec<Temperature> {
        match &mut self.components {
            Some(components) => components.refresh(true),
            none => *none = Components::new_with_refreshed_list().ok(),
        }
        let components = self.components.iter().flat_map(|components| components.iter());
        components
            .filter_map(|component| {
                let celsius = component.temperature().and_then(|t| believable(f64::from(t)))?;
                Some(Temperature { label: clip(component.label()), celsius })
            })
            .take(limits::MAX_LIST)
            .collect()
    }
}

/// Sensors that are not wired report extremes, such as -128, 0 or 255 degrees.
fn believable(celsius: f64) -> Option<f64> {
    tidy(celsius).filter(|t| (-60.0..=200.0).contains(t) && *t != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_that_is_not_wired_is_absent() {
        let check = |celsius, expected| assert_eq!(believable(celsius), expected);
        check(48.256, Some(48.26));
        check(-12.0, Some(-12.0));
        for unwired in [0.0, -128.0, 255.0, f64::NAN] {
            check(unwired, None);
        }
    }
}
