//! `status`: how the node of this machine is.

use super::{Stopped, runtime, terminal};
use crate::config::Settings;
use crate::identity::{Belonging, IdentityFiles};
use crate::status::{Report, ask};
use picloud_cluster::identity::fingerprint_groups;

/// Asks the agent, or looks into the data folder where none runs.
pub(super) fn run(settings: &Settings, json: bool) -> Result<(), Stopped> {
    let report = runtime()?.block_on(ask(&settings.data_dir, "status"))?;
    let report = match report {
        Some(report) => report,
        None => from_disk(settings)?,
    };
    if json {
        terminal::say(&serde_json::to_string(&report)?);
    } else {
        terminal::say(&text(&report));
    }
    Ok(())
}

/// What a node that is not running leaves to be seen.
fn from_disk(settings: &Settings) -> Result<Report, Stopped> {
    let files = IdentityFiles::of(&settings.data_dir);
    let Some(key) = files.key_if_made()? else {
        let folder = settings.data_dir.display();
        return Err(Stopped(format!("there is no node in `{folder}` yet\nhint: start one: picloud-node run")));
    };
    let belonging = files.belonging()?;
    let member = match &belonging {
        Belonging::Member(member) => Some(member.clone()),
        Belonging::Nobody | Belonging::Retired { .. } => None,
    };
    let state = if matches!(belonging, Belonging::Retired { .. }) { "retired" } else { "stopped" };
    Ok(Report {
        state: state.to_owned(),
        id: key.id().to_string(),
        name: member.as_ref().map(|member| member.name.clone()).unwrap_or_default(),
        fingerprint: fingerprint_groups(&key.fingerprint()),
        whole_fingerprint: picloud_cluster::identity::whole_fingerprint_groups(&key.fingerprint()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ca: member.as_ref().and_then(|member| member.ca_fingerprint()).map(|ca| fingerprint_groups(&ca)),
        ..Report::default()
    })
}

/// As a person reads it.
pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![("state", report.state.clone())];
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push((name, value));
        }
    };
    add("why", report.why.clone());
    add("away since", report.away_since.clone());
    add("name", Some(report.name.clone()));
    add("id", Some(report.id.clone()));
    add("fingerprint", Some(report.fingerprint.clone()));
    let at = report.appliance_address.as_ref().map(|address| format!(" at {address}")).unwrap_or_default();
    add("appliance", report.appliance.as_ref().map(|name| format!("{name}{at}")));
    add("its CA", report.ca.clone());
    add("answers on", Some(report.urls.join(" ")));
    add("certificate until", report.certificate_expires_at.clone());
    if report.state != "stopped" && report.state != "waiting" {
        add("running", Some(report.running.to_string()));
        add("spooled", Some(report.spooled.to_string()));
        add("not cached", Some(report.missing).filter(|missing| *missing > 0).map(|missing| missing.to_string()));
    }
    for (appliance, asked) in &report.asked {
        let ca = if asked.ca.is_empty() { String::new() } else { format!(" (CA {})", asked.ca) };
        add("asked", Some(format!("{appliance}{ca}: {}", asked.says)));
    }
    let width = lines.iter().map(|(name, _value)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Asked;

    #[test]
    fn a_person_sees_what_to_compare_and_what_is_in_the_way() {
        let waiting = Report {
            state: "waiting".to_owned(),
            id: "0123456789abcdef0123".to_owned(),
            name: "pi2".to_owned(),
            fingerprint: "0123 4567 89ab cdef 0123 4567 89ab cdef".to_owned(),
            asked: [("pi:8443".to_owned(), Asked { ca: "aaaa bbbb".to_owned(), says: "waits".to_owned() })].into(),
            ..Report::default()
        };
        let away = Report {
            state: "away".to_owned(),
            why: Some("connect to 10.0.0.1:8443: no answer".to_owned()),
            away_since: Some("2030-01-01T00:00:00.000Z".to_owned()),
            appliance: Some("home".to_owned()),
            ca: Some("aaaa bbbb".to_owned()),
            urls: vec!["http://10.0.0.2:8080".to_owned()],
            spooled: 3,
            asked: Default::default(),
            ..waiting.clone()
        };
        insta::assert_snapshot!(format!("{}\n---\n{}", text(&waiting), text(&away)));
    }
}
