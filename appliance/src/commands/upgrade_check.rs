//! `upgrade-check`: a look at the data that changes nothing, so that an upgrade that cannot work is refused before the old
//! program is stopped.

use super::serve::runtime;
use super::{Stopped, terminal};
use crate::appliance::with_sources;
use crate::config::Config;
use picloud_model::clock::rfc3339;
use picloud_store::upgrade::StoreLook;
use picloud_store::{OpenError, OpenSettings};
use serde_json::{Value, json};

/// Looks at the store of the settings. With `before_install` the program that comes may need a copy though this one needs
/// none, so there must be room for one.
pub(super) fn run(config: &Config, before_install: bool, as_json: bool) -> Result<(), Stopped> {
    terminal::start_log("warn", false);
    let settings = &config.settings;
    let at = OpenSettings::new(&settings.data_dir).with_database(settings.database_url.clone());
    let looked = runtime()?.block_on(picloud_store::upgrade::look(&at));
    let look = match looked {
        Ok(look) => look,
        Err(error) => {
            let refusal = format!("{}\nhint: {}", with_sources(&error), error.hint());
            // Of a database that does not answer nobody knows whether it could be upgraded.
            if as_json && !matches!(error, OpenError::Unreachable { .. }) {
                terminal::say(&json!({ "can_upgrade": false, "refusal": refusal }).to_string());
            }
            return Err(Stopped(refusal));
        }
    };
    let place = match &settings.database_url {
        Some(url) => picloud_store::shown_database_url(url),
        None => settings.data_dir.display().to_string(),
    };
    let refusal = refusal(&look, before_install, &place);
    if as_json {
        terminal::say(&answer(&look, refusal.as_deref()).to_string());
    } else {
        terminal::say(&told(&look, &place));
    }
    refusal.map_or(Ok(()), |refusal| Err(Stopped(refusal)))
}

/// Why an upgrade would not work, if it would not.
fn refusal(look: &StoreLook, before_install: bool, place: &str) -> Option<String> {
    if let Some(damage) = &look.damage {
        return Some(format!(
            "the data in `{place}` is damaged: {damage}\nhint: put back a backup (`picloud-appliance restore`), or take \
             one now with the program that is installed; nothing was changed"
        ));
    }
    let needs_room = look.found.is_some() && (look.is_older() || before_install);
    (needs_room && !look.has_room()).then(|| {
        let missing = terminal::size(look.needed_bytes.saturating_sub(look.free_bytes));
        format!(
            "there is no room to upgrade `{place}`: the copy that is made first needs {}, and {} are free\nhint: make \
             {missing} of room (`df -h`) and try again; nothing was changed",
            terminal::size(look.needed_bytes),
            terminal::size(look.free_bytes)
        )
    })
}

fn told(look: &StoreLook, place: &str) -> String {
    let known = look.known;
    let mut text = match look.found {
        None => format!("{place}: no data yet; there is nothing to upgrade"),
        Some(found) if look.is_older() => format!(
            "{place}: schema {found}; this PiCloud has {known}: its next start makes a checked copy, then upgrades it\n\
             the copy needs {}, {} are free",
            terminal::size(look.needed_bytes),
            terminal::size(look.free_bytes)
        ),
        Some(found) => format!(
            "{place}: schema {found}, as this PiCloud has it; there is nothing to upgrade\na copy would need {}, {} are \
             free",
            terminal::size(look.needed_bytes),
            terminal::size(look.free_bytes)
        ),
    };
    for copy in &look.copies {
        let (schema, made_at) = (copy.manifest.from, rfc3339(copy.manifest.made_at));
        let size = terminal::size(copy.manifest.size_bytes());
        text.push_str(&format!("\ncopy {}: schema {schema} as of {made_at}, {size}", copy.name()));
    }
    text
}

fn answer(look: &StoreLook, refusal: Option<&str>) -> Value {
    let copies = look.copies.iter().map(|copy| {
        json!({ "name": copy.name(), "schema": copy.manifest.from.data, "made_at": rfc3339(copy.manifest.made_at),
            "bytes": copy.manifest.size_bytes() })
    });
    json!({
        "schema": look.found.map(|found| found.data),
        "program_schema": look.known.data,
        "upgrades": look.is_older(),
        "needed_bytes": look.needed_bytes,
        "free_bytes": look.free_bytes,
        "can_upgrade": refusal.is_none(),
        "refusal": refusal,
        "copies": copies.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_store::upgrade::Schema;

    fn look(found: i64, needed_bytes: u64) -> StoreLook {
        let schema = |data| Schema { data, history: 3 };
        let found = (found > 0).then(|| schema(found));
        let known = schema(4);
        StoreLook { found, known, needed_bytes, free_bytes: 20 << 20, damage: None, copies: Vec::new() }
    }

    #[test]
    fn an_upgrade_is_refused_where_there_is_no_room_for_the_copy_and_only_where_one_is_made() {
        for (found, needed_mib, before_install, refused) in [
            (3, 20, false, false),
            (3, 21, false, true),
            (4, 21, false, false),
            (4, 21, true, true),
            (0, 21, true, false),
        ] {
            let look = look(found, needed_mib << 20);
            assert_eq!(refusal(&look, before_install, "/data").is_some(), refused, "{look:?}");
        }
    }

    #[test]
    fn what_is_found_is_told_with_what_to_do() {
        insta::assert_snapshot!(told(&look(3, 12 << 20), "/var/lib/picloud"), @"
        /var/lib/picloud: schema 3; this PiCloud has 4: its next start makes a checked copy, then upgrades it
        the copy needs 12.0 MiB, 20.0 MiB are free
        ");
        insta::assert_snapshot!(told(&look(0, 0), "/var/lib/picloud"), @"/var/lib/picloud: no data yet; there is nothing to upgrade");
        let refused = refusal(&look(3, 31 << 20), false, "/var/lib/picloud").unwrap();
        insta::assert_snapshot!(refused, @"
        there is no room to upgrade `/var/lib/picloud`: the copy that is made first needs 31.0 MiB, and 20.0 MiB are free
        hint: make 11.0 MiB of room (`df -h`) and try again; nothing was changed
        ");
        let damaged = StoreLook { damage: Some("row 7 missing from index kv_expiry".to_owned()), ..look(4, 0) };
        insta::assert_snapshot!(refusal(&damaged, false, "/var/lib/picloud").unwrap(), @"
        the data in `/var/lib/picloud` is damaged: row 7 missing from index kv_expiry
        hint: put back a backup (`picloud-appliance restore`), or take one now with the program that is installed; nothing was changed
        ");
    }
}
