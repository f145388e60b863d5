//! How fast the disk with the data writes and reads, measured on it. The one check that writes.

use crate::doctor::block::mount_of;
use crate::doctor::machine::{CardSpeed, WRITTEN_BYTES_MAX};
use crate::doctor::words::size;
use crate::doctor::{Case, Check, Finding};
use std::time::Duration;

pub(super) const CHECK: Check = Check {
    name: "card-speed",
    title: "Speed of the card",
    // Written, read and written again, each with its own end in time.
    time_max: Duration::from_secs(60),
    is_alone: true,
    look,
    ..Check::PLAIN
};

/// With less left than this nothing is written for a measurement.
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;
/// What the slowest card of application class A1 writes a second.
const SLOW_WRITE_PER_S: f64 = 10.0 * 1024.0 * 1024.0;
/// Below this it is dying, or something else writes all the time.
const DYING_WRITE_PER_S: f64 = 1024.0 * 1024.0;
/// Writes that are on the disk, a second: each change of a key or an event is one.
const SLOW_SYNCED_PER_S: f64 = 40.0;

const BUY: &str = "use another card, one marked A1 or A2 and High Endurance, or a USB SSD";

fn look(case: &Case) -> Finding {
    let Some(folder) = case.data_folder() else {
        return Finding::unknown("there is no data folder on this machine");
    };
    if !case.may_write {
        return Finding::unknown("not measured: --no-card-test");
    }
    if case.machine.space(&folder).is_some_and(|space| space.free_bytes < FREE_BYTES_MIN) {
        let least = size(FREE_BYTES_MIN as f64);
        return Finding::unknown(format!("not measured: less than {least} are free in {folder}"));
    }
    if mount_of(&*case.machine, &folder).is_some_and(|mount| mount.is_read_only) {
        return Finding::unknown(format!("not measured: {folder} is read-only"));
    }
    match case.machine.card_speed(&folder) {
        Ok(speed) => judge(&folder, &speed),
        Err(why) if why.contains("Permission denied") => {
            Finding::unknown(format!("not measured: {folder} is not yours to write in: sudo picloud doctor card-speed"))
        }
        Err(why) => Finding::failed(why, "look at the kernel's words: `sudo dmesg | grep -i -e mmc -e error`")
            .cure("take a backup now, if it still can be read: `picloud backup FILE`"),
    }
}

fn judge(folder: &str, speed: &CardSpeed) -> Finding {
    let told = format!(
        "{}/s written, {}/s read, {:.0} small writes a second, measured with {} in {folder}{}",
        size(speed.write_per_s),
        size(speed.read_per_s),
        speed.synced_writes_per_s,
        size(speed.written_bytes as f64),
        if speed.is_direct { "" } else { " through the caches" },
    );
    let finding = if !speed.is_same {
        Finding::failed(
            format!("what was read back is not what was written ({told})"),
            "take a backup now: `picloud backup FILE`",
        )
        .cure("then use another card: this one is broken, or smaller than it says")
    } else if speed.write_per_s < DYING_WRITE_PER_S {
        Finding::failed(
            told,
            "see what else writes (`sudo iotop -ao`); if nothing does, the card is dying: take a backup",
        )
        .cure(BUY)
    } else if speed.write_per_s < SLOW_WRITE_PER_S || speed.synced_writes_per_s < SLOW_SYNCED_PER_S {
        Finding::warning(told, BUY)
    } else {
        Finding::ok(told)
    };
    finding
        .fact("write_bytes_per_s", speed.write_per_s as u64)
        .fact("read_bytes_per_s", speed.read_per_s as u64)
        .fact("synced_writes_per_s", speed.synced_writes_per_s as u64)
        .fact("written_bytes", speed.written_bytes)
        .fact("written_bytes_max", WRITTEN_BYTES_MAX)
        .fact("is_direct", speed.is_direct)
}
