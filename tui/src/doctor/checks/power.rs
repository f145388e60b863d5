//! Whether the power supply is good enough: a card that is written to at too low a voltage loses data.

use super::throttling::Firmware;
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "power", title: "Power supply", look, ..Check::PLAIN };

/// Where drivers of sensors are.
const SENSORS: &str = "/sys/class/hwmon";
/// The one that knows of the voltage.
const VOLTAGE_SENSOR: &str = "rpi_volt";

fn look(case: &Case) -> Finding {
    let Some(model) = case.pi_model() else {
        return Finding::not_applicable("only a Raspberry Pi tells its voltage");
    };
    if let Some(firmware) = Firmware::of(case) {
        let finding = if firmware.is_under_voltage() {
            Finding::failed("the voltage is too low at this moment: what is written now may be lost", cure(&model))
        } else if firmware.was_under_voltage() {
            Finding::warning("the voltage was too low at least once since the start; not at this moment", cure(&model))
        } else {
            Finding::ok("the voltage has been good since the start")
        };
        return finding.fact("throttled", firmware.word());
    }
    match alarm(case) {
        Some(true) => Finding::failed("the voltage is too low, or was since it was last asked for", cure(&model)),
        Some(false) => Finding::ok("the voltage is good; whether it always was, this kernel does not tell"),
        None => Finding::unknown("this kernel does not tell the voltage, and `vcgencmd` is not here"),
    }
}

/// What the sensor of the voltage says.
fn alarm(case: &Case) -> Option<bool> {
    let machine = &case.machine;
    let sensors = machine.names(SENSORS);
    let of = |sensor: &String, file: &str| machine.read(&format!("{SENSORS}/{sensor}/{file}"));
    let volt = sensors.iter().find(|sensor| of(sensor, "name").is_some_and(|name| name.trim() == VOLTAGE_SENSOR))?;
    Some(of(volt, "in0_lcrit_alarm")?.trim() == "1")
}

/// What to buy: every model has its own supply.
fn cure(model: &str) -> String {
    let supply = if model.contains("Pi 5") || model.contains("Pi 500") {
        "5 V, 5 A (27 W USB-C)"
    } else if model.contains("Pi 4") || model.contains("Pi 400") {
        "5 V, 3 A (15 W USB-C)"
    } else {
        "5 V, 2.5 A (micro USB)"
    };
    format!(
        "use the power supply made for it, {supply}, with its own short cable, and feed disks from a hub of their own"
    )
}
