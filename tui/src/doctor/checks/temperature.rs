//! How hot the processor is.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "temperature", title: "Temperature", look, ..Check::PLAIN };

/// Where the kernel shows temperatures.
const ZONES: &str = "/sys/class/thermal";
/// From here on the firmware of a Raspberry Pi slows down.
const WARM_C: f64 = 80.0;
/// Here it slows down as far as it can.
const HOT_C: f64 = 85.0;
/// Where a sensor is broken it tells nonsense.
const SANE_C: std::ops::Range<f64> = -40.0..150.0;

fn look(case: &Case) -> Finding {
    let zones = case.machine.names(ZONES);
    let zones = zones.iter().filter(|name| name.starts_with("thermal_zone"));
    let hottest = zones
        .filter_map(|zone| {
            let of = |file: &str| case.machine.read(&format!("{ZONES}/{zone}/{file}"));
            let celsius = of("temp")?.trim().parse::<f64>().ok()? / 1000.0;
            Some((celsius, of("type").unwrap_or_default().trim().to_owned()))
        })
        .filter(|(celsius, _)| SANE_C.contains(celsius))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((celsius, sensor)) = hottest else {
        return Finding::unknown("this machine has no temperature that the kernel shows");
    };
    let cure = "cool it: a heat sink or a fan, air around the case, out of the sun";
    let finding = if celsius >= HOT_C {
        Finding::failed(format!("{celsius:.0} °C: it slows down as far as it can, and ages quickly"), cure)
    } else if celsius >= WARM_C {
        Finding::warning(format!("{celsius:.0} °C: above {WARM_C} °C a Raspberry Pi slows down"), cure)
    } else {
        Finding::ok(format!("{celsius:.0} °C"))
    };
    finding.fact("celsius", (celsius * 10.0).round() / 10.0).fact("sensor", sensor)
}
