//! Forms of apps: what an app sets for itself, as `app.toml` writes it.

use crate::widgets::form::{Field, FieldKind, Form, Values};
use picloud_model::app::{App, AppPatch, HttpPolicy, NewApp};
use picloud_model::limits::AppLimits;
use picloud_model::placement::Placement;
use std::collections::BTreeMap;

const HOSTS_HELP: &str = "hosts that lead to it, with blanks between; without one it is reached at /NAME/";
const ALLOW_HELP: &str = "what its scripts may reach beside the internet: printer.local 192.168.1.0/24 10.0.0.5:8080";
const LIMITS_HELP: &str = "as in app.toml, a line each: timeout_ms = 30000; page limits of 0 Settings has all of them";
const PLACEMENT_HELP: &str = "where scripts may run, a line each: hello = { needs = [\"camera\"], avoid = [] }";

/// For a new one.
pub(super) fn new() -> Form {
    Form::new("New app", "create")
        .field(Field::line("name", "name", "a-z, 0-9 and -, beginning with a letter").needed())
        .field(Field::line("hosts", "hosts", HOSTS_HELP))
}

/// What that form says.
pub(super) fn made(values: &Values) -> NewApp {
    NewApp { name: values.get("name").trim().to_owned(), hosts: words(values.get("hosts")), ..NewApp::default() }
}

/// For one that is there.
pub(super) fn edit(app: &App) -> Form {
    let lines = |name, label, help, text: String| Field::line(name, label, help).kind(FieldKind::Text).with(text);
    // What the appliance answered has names that TOML can write.
    let limits = toml::to_string(&app.limits).unwrap_or_default();
    let placement = app.placement.iter().map(|(script, placement)| placement_line(script, placement));
    Form::new(format!("App {}", app.name), "save")
        .field(Field::line("hosts", "hosts", HOSTS_HELP).with(app.hosts.join(" ")))
        .field(Field::line("allow", "may reach", ALLOW_HELP).with(app.http.allow.join(" ")))
        .field(lines("limits", "limits", LIMITS_HELP, limits))
        .field(lines("placement", "placement", PLACEMENT_HELP, placement.collect::<Vec<_>>().join("\n")))
}

/// What that form says that is otherwise than it was, and what takes it back; none where nothing is.
pub(super) fn edited(app: &App, values: &Values) -> Result<Option<(AppPatch, AppPatch)>, String> {
    let hosts = words(values.get("hosts"));
    let http = HttpPolicy { allow: words(values.get("allow")) };
    http.check().map_err(|wrong| wrong.join("; "))?;
    let told = |what: &str, error: toml::de::Error| format!("{what}: {}", error.message());
    let limits: AppLimits = toml::from_str(values.get("limits")).map_err(|error| told("limits", error))?;
    limits.check().map_err(|problem| problem.detail)?;
    let placement: BTreeMap<String, Placement> =
        toml::from_str(values.get("placement")).map_err(|error| told("placement", error))?;
    for (script, placement) in &placement {
        placement.check().map_err(|wrong| format!("placement of {script}: {}", wrong.join("; ")))?;
    }
    let mut patch = AppPatch::default();
    let mut back = AppPatch::default();
    if hosts != app.hosts {
        (patch.hosts, back.hosts) = (Some(hosts), Some(app.hosts.clone()));
    }
    if http != app.http {
        (patch.http, back.http) = (Some(http), Some(app.http.clone()));
    }
    if limits != app.limits {
        (patch.limits, back.limits) = (Some(limits), Some(app.limits.clone()));
    }
    if placement != app.placement {
        (patch.placement, back.placement) = (Some(placement), Some(app.placement.clone()));
    }
    let is_same = patch.hosts.is_none() && patch.http.is_none() && patch.limits.is_none() && patch.placement.is_none();
    Ok((!is_same).then_some((patch, back)))
}

/// To write an app as a folder.
pub(super) fn export(app: &str, is_elsewhere: bool) -> Form {
    let help = "must be new, empty, or an app folder, which then becomes what the app is";
    Form::new(format!("Write {app} as a folder{}", whose(is_elsewhere)), "write")
        .field(Field::line("folder", "folder", help).with(app).needed())
}

/// To deploy a folder.
pub(super) fn deploy(is_elsewhere: bool) -> Form {
    Form::new(format!("Plan a deploy of a folder{}", whose(is_elsewhere)), "show the plan")
        .field(Field::line("folder", "folder", "that holds app.toml").needed())
        .field(Field::line("app", "app", "another name than app.toml says; mostly empty"))
        .field(Field::line("message", "why", "kept with every version this makes"))
}

/// Over ssh people think of their own disk.
fn whose(is_elsewhere: bool) -> &'static str {
    if is_elsewhere { " of the machine you are logged in to" } else { "" }
}

/// As `app.toml` writes it, on a line.
fn placement_line(script: &str, placement: &Placement) -> String {
    let list = |name: &str, labels: &[String]| {
        let labels: Vec<String> = labels.iter().map(|label| format!("{label:?}")).collect();
        (!labels.is_empty()).then(|| format!("{name} = [{}]", labels.join(", ")))
    };
    let parts = [list("needs", &placement.needs), list("avoid", &placement.avoid), list("prefers", &placement.prefers)];
    format!("{script} = {{ {} }}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
