//! `go-back`: the copy from before an upgrade takes the place of what a newer program made of it.

use super::{Stopped, terminal};
use crate::config::Config;
use picloud_model::clock::{Clock, SystemClock, rfc3339};
use picloud_store::upgrade::{COPY_KEPT_DAYS, GoBackError, GoingBack, WentBack, go_back, going_back};
use serde_json::{Value, json};
use std::path::Path;

/// What was asked for.
pub(super) struct Asked<'a> {
    /// The copy; the newest one that this program can open where it is `None`.
    pub(super) copy: Option<&'a str>,
    /// To do it, and not only to show what it would do.
    pub(super) yes: bool,
    /// JSON instead of sentences.
    pub(super) json: bool,
}

/// Shows what going back would lose, or goes back.
pub(super) fn run(config: &Config, asked: &Asked<'_>) -> Result<(), Stopped> {
    terminal::start_log("warn", false);
    let settings = &config.settings;
    if let Some(url) = &settings.database_url {
        let url = picloud_store::shown_database_url(url);
        return Err(Stopped(format!(
            "the data is in the database `{url}`, and no copy is put back over one\nhint: the copies are in `{}`: with the \
             older PiCloud, `picloud-appliance migrate-store --from {}/NAME --to postgres://…` moves one into a new, empty \
             database; set `database_url` to that",
            settings.data_dir.join("before-upgrade").display(),
            settings.data_dir.join("before-upgrade").display(),
        )));
    }
    let dir = &settings.data_dir;
    let refused = |error: GoBackError| format!("{}\nhint: {}", crate::appliance::with_sources(&error), error.hint());
    if !asked.yes {
        let plan = going_back(dir, asked.copy).map_err(refused)?;
        terminal::say(&if asked.json { plan_json(&plan).to_string() } else { plan_text(&plan, dir) });
        return Ok(());
    }
    let back = go_back(dir, asked.copy, SystemClock.now_ms()).map_err(refused)?;
    terminal::say(&if asked.json { done_json(&back, dir).to_string() } else { done_text(&back, dir) });
    Ok(())
}

fn plan_text(plan: &GoingBack, dir: &Path) -> String {
    let (copy, dir) = (&plan.copy, dir.display());
    let time = |at: Option<i64>| at.map_or("an unknown time".to_owned(), rfc3339);
    let now = plan.now.map_or("a schema that cannot be read".to_owned(), |schema| format!("schema {schema}"));
    let mut text = format!(
        "{dir} has {now}, last written at {}, and the newest entry of its audit log is of {}\n\
         the copy {} has schema {}, is of {}, and was checked: it is whole\n\
         whatever was written after {} would be gone:\n",
        time(plan.written_at),
        time(plan.audited_at),
        copy.name(),
        copy.manifest.from,
        rfc3339(copy.manifest.made_at),
        rfc3339(copy.manifest.made_at),
    );
    let width = plan.tables.iter().map(|table| table.name.len()).max().unwrap_or_default();
    for table in &plan.tables {
        let (name, now, then) = (&table.name, table.rows_now, table.rows_then);
        text.push_str(&format!("  {name:width$}  {now} rows now, {then} in the copy\n"));
    }
    if plan.tables.is_empty() {
        text.push_str("  no table has another number of rows; rows may have changed\n");
    }
    text.push_str(&format!(
        "nothing was changed. Stop the appliance, then: picloud-appliance go-back {} --yes --data-dir {dir}",
        copy.name()
    ));
    text
}

fn plan_json(plan: &GoingBack) -> Value {
    let tables = plan
        .tables
        .iter()
        .map(|table| json!({ "table": table.name, "rows_now": table.rows_now, "rows_in_copy": table.rows_then }));
    json!({
        "done": false,
        "copy": plan.copy.name(),
        "copy_schema": plan.copy.manifest.from.data,
        "copy_made_at": rfc3339(plan.copy.manifest.made_at),
        "schema": plan.now,
        "written_at": plan.written_at.map(rfc3339),
        "audited_at": plan.audited_at.map(rfc3339),
        "tables": tables.collect::<Vec<_>>(),
    })
}

fn done_text(back: &WentBack, dir: &Path) -> String {
    format!(
        "{}: schema {} as of {}\nwhat the newer PiCloud had is in {}, for {COPY_KEPT_DAYS} days; \
         bytes of files that only one of both has are kept as long\nstart a PiCloud that has schema {} now: a newer one \
         upgrades it again",
        dir.display(),
        back.to,
        rfc3339(back.copy_made_at),
        back.aside_in(dir).display(),
        back.to,
    )
}

fn done_json(back: &WentBack, dir: &Path) -> Value {
    json!({
        "done": true,
        "copy": back.copy,
        "schema": back.to,
        "as_of": rfc3339(back.copy_made_at),
        "put_aside": back.aside_in(dir),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_store::upgrade::{CopyManifest, Schema, TableThen, UpgradeCopy};

    #[test]
    fn the_plan_says_what_would_be_lost_and_how_to_do_it() {
        let schema = |data| Schema { data, history: data };
        let manifest = CopyManifest {
            format: 1,
            store: "sqlite".to_owned(),
            made_at: 1_800_000_000_000,
            from: schema(3),
            to: schema(4),
            files: Vec::new(),
            tables: Vec::new(),
        };
        let table = |name: &str, rows_now, rows_then| TableThen { name: name.to_owned(), rows_now, rows_then };
        let plan = GoingBack {
            copy: UpgradeCopy { dir: "/d/before-upgrade/3-20270115T080000Z".into(), manifest },
            now: Some(4),
            written_at: Some(1_800_000_500_000),
            audited_at: None,
            tables: vec![table("kv", 341, 334), table("scripts", 2, 3)],
        };
        insta::assert_snapshot!(plan_text(&plan, Path::new("/var/lib/picloud")), @"
        /var/lib/picloud has schema 4, last written at 2027-01-15T08:08:20.000Z, and the newest entry of its audit log is of an unknown time
        the copy 3-20270115T080000Z has schema 3, is of 2027-01-15T08:00:00.000Z, and was checked: it is whole
        whatever was written after 2027-01-15T08:00:00.000Z would be gone:
          kv       341 rows now, 334 in the copy
          scripts  2 rows now, 3 in the copy
        nothing was changed. Stop the appliance, then: picloud-appliance go-back 3-20270115T080000Z --yes --data-dir /var/lib/picloud
        ");
    }
}
