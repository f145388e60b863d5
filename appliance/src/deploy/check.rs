//! Everything that can be said about a bundle without the store: all of it at once, each with its file.

use super::{graph, placements, triggers};
use base64::Engine;
use picloud_executor::validate;
use picloud_model::app::{HttpPolicy, NewApp};
use picloud_model::app_folder::check_static_path;
use picloud_model::bundle::Bundle;
use picloud_model::clock::UnixMs;
use picloud_model::limits::{
    APP_ITEMS_MAX, AppLimits, ENV_ENTRIES_MAX, ENV_NAME_BYTES_MAX, ENV_VALUE_BYTES_MAX, Limits, STATIC_APP_BYTES_MAX,
    STATIC_FILE_BYTES_MAX,
};
use picloud_model::name;
use picloud_model::problem::{Code, Problem};
use picloud_model::route::{RouteSpec, parse_path};
use picloud_model::script::{Diagnostic, ScriptKind};
use picloud_store::{ScriptWrite, StaticWrite, TriggerWrite};
use std::collections::BTreeMap;

/// Longest method of a route.
const METHOD_BYTES_MAX: usize = 32;
/// Longest host name there is.
const HOST_BYTES_MAX: usize = 253;
/// Hosts of one app.
const HOSTS_MAX: usize = 64;

/// A bundle that passed, in the form the store takes.
pub struct Wanted {
    /// The app itself.
    pub app: NewApp,
    /// Its scripts and modules.
    pub scripts: Vec<ScriptWrite>,
    /// Its routes.
    pub routes: Vec<RouteSpec>,
    /// Its static files.
    pub static_files: Vec<StaticWrite>,
    /// Its triggers.
    pub triggers: Vec<TriggerWrite>,
    /// What does not stop it.
    pub warnings: Vec<Diagnostic>,
}

/// Checks all of it; schedules begin after `now`.
pub fn check(mut bundle: Bundle, now: UnixMs) -> Result<Wanted, Problem> {
    let mut errors = Vec::new();
    check_head(&mut bundle, &mut errors);
    let limits = bundle.limits.resolve();
    let (scripts, warnings) = check_scripts(&bundle, &limits, &mut errors);
    check_routes(&mut bundle, &mut errors);
    let static_files = check_static(&bundle, &mut errors);
    let kind_of = |name: &str| match (bundle.scripts.contains_key(name), bundle.modules.contains_key(name)) {
        (true, _) => Some(ScriptKind::Endpoint),
        (false, true) => Some(ScriptKind::Module),
        (false, false) => None,
    };
    placements::check_placements(&mut bundle.placement, kind_of, &mut errors);
    let triggers = triggers::check_triggers(&bundle.triggers, kind_of, now, &mut errors);
    if !errors.is_empty() {
        return Err(refusal(&bundle.name, errors));
    }
    let app = NewApp {
        name: bundle.name,
        hosts: bundle.hosts,
        env: bundle.env,
        limits: bundle.limits,
        http: bundle.http,
        placement: bundle.placement,
    };
    Ok(Wanted { app, scripts, routes: bundle.routes, static_files, triggers, warnings })
}

fn refusal(app: &str, errors: Vec<Diagnostic>) -> Problem {
    let in_sources = errors.iter().any(|error| error.file.as_deref() != Some("app.toml"));
    let code = if in_sources { Code::InvalidScript } else { Code::Invalid };
    let things = if errors.len() == 1 { "1 thing".to_owned() } else { format!("{} things", errors.len()) };
    Problem::new(code, format!("{things} in app `{app}` cannot be deployed; nothing was changed")).errors(errors)
}

/// A diagnostic in `app.toml` as a whole.
pub(super) fn in_app_toml(message: impl Into<String>) -> Diagnostic {
    Diagnostic { file: Some("app.toml".to_owned()), line: 0, column: 0, message: message.into(), hint: None }
}

/// Chains a hint.
pub(super) trait WithHint {
    /// With what to do about it.
    fn with_hint(self, hint: &str) -> Self;
}

impl WithHint for Diagnostic {
    fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

fn from_problem(file: &str, problem: Problem) -> Diagnostic {
    Diagnostic { file: Some(file.to_owned()), line: 0, column: 0, message: problem.detail, hint: problem.hint }
}

fn check_head(bundle: &mut Bundle, errors: &mut Vec<Diagnostic>) {
    if let Err(problem) = name::check_app_name(&bundle.name) {
        errors.push(from_problem("app.toml", problem));
    }
    if let Err(problems) = check_app_fields(&mut bundle.hosts, &bundle.env, &bundle.limits, &bundle.http) {
        errors.extend(problems);
    }
    for (what, count) in [
        ("scripts", bundle.scripts.len()),
        ("modules", bundle.modules.len()),
        ("routes", bundle.routes.len()),
        ("triggers", bundle.triggers.len()),
        ("static files", bundle.static_files.len()),
    ] {
        if count > APP_ITEMS_MAX {
            errors.push(in_app_toml(format!("the app has {count} {what}, more than {APP_ITEMS_MAX}")));
        }
    }
}

/// Checks what an app has beside its code, and brings hosts to their one form.
pub fn check_app_fields(
    hosts: &mut [String],
    env: &BTreeMap<String, String>,
    limits: &AppLimits,
    http: &HttpPolicy,
) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    for host in hosts.iter_mut() {
        let normal = host.trim_end_matches('.').to_ascii_lowercase();
        if is_host(&normal) {
            *host = normal;
        } else {
            errors.push(
                in_app_toml(format!("`{host}` is no host name"))
                    .with_hint("write it without scheme, port and path: \"kitchen.example.org\""),
            );
        }
    }
    if let Some(twice) = hosts.iter().enumerate().find(|(index, host)| hosts[..*index].contains(host)) {
        errors.push(in_app_toml(format!("host `{}` stands twice", twice.1)));
    }
    if hosts.len() > HOSTS_MAX {
        errors.push(in_app_toml(format!("the app has {} hosts, more than {HOSTS_MAX}", hosts.len())));
    }
    if env.len() > ENV_ENTRIES_MAX {
        errors.push(in_app_toml(format!("[env] has {} values, more than {ENV_ENTRIES_MAX}", env.len())));
    }
    for (name, value) in env {
        if name.is_empty() || name.len() > ENV_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            errors.push(in_app_toml(format!("[env]: {name:?} is no name of a value")));
        }
        if value.len() > ENV_VALUE_BYTES_MAX {
            let len = value.len();
            errors.push(in_app_toml(format!("[env]: `{name}` has {len} bytes, more than {ENV_VALUE_BYTES_MAX}")));
        }
    }
    if let Err(wrong) = http.check() {
        errors.extend(wrong.into_iter().map(|message| in_app_toml(format!("[http]: {message}"))));
    }
    if let Err(problem) = limits.check() {
        errors.push(from_problem("app.toml", problem));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    (host.len() <= HOST_BYTES_MAX && host.split('.').all(label)) || bare.parse::<std::net::Ipv6Addr>().is_ok()
}

fn check_scripts(
    bundle: &Bundle,
    limits: &Limits,
    errors: &mut Vec<Diagnostic>,
) -> (Vec<ScriptWrite>, Vec<Diagnostic>) {
    let mut writes = Vec::new();
    let mut warnings = Vec::new();
    let endpoints = bundle.scripts.iter().map(|entry| (ScriptKind::Endpoint, entry));
    let modules = bundle.modules.iter().map(|entry| (ScriptKind::Module, entry));
    for (kind, (name, source)) in endpoints.chain(modules) {
        let file = file_of(kind, name);
        if kind == ScriptKind::Endpoint && bundle.modules.contains_key(name) {
            let other = file_of(ScriptKind::Module, name);
            errors.push(Diagnostic {
                file: Some(file.clone()),
                line: 0,
                column: 0,
                message: format!("`{other}` has the same name"),
                hint: Some("scripts and modules of an app share their names: rename one".to_owned()),
            });
        }
        match check_source(name, kind, source, limits) {
            Ok(validated) => {
                warnings.extend(validated.warnings.into_iter().map(|warning| placed(&file, warning)));
                let imports = validated.imports;
                writes.push(ScriptWrite { name: name.clone(), kind, source: source.clone(), imports });
            }
            Err(found) => errors.extend(found.into_iter().map(|error| placed(&file, error))),
        }
    }
    // A script that does not compile has no imports to check; what the others import is checked all the same.
    let modules = bundle.modules.keys().cloned().collect();
    let graph = writes.iter().map(|script| (script.name.clone(), script.imports.clone())).collect();
    let source_of = |name: &str| writes.iter().find(|write| write.name == name).map(|write| &*write.source);
    for (who, error) in graph::check(&graph, &modules, limits, source_of) {
        let kind = if bundle.modules.contains_key(&who) { ScriptKind::Module } else { ScriptKind::Endpoint };
        errors.push(placed(&file_of(kind, &who), error));
    }
    (writes, warnings)
}

/// Checks the name and the source of one script or module.
pub(crate) fn check_source(
    name: &str,
    kind: ScriptKind,
    source: &str,
    limits: &Limits,
) -> Result<picloud_executor::Validated, Vec<Diagnostic>> {
    let named = match kind {
        ScriptKind::Endpoint => name::check_script_name(name),
        ScriptKind::Module => name::check_module_name(name),
    };
    if let Err(problem) = named {
        return Err(vec![Diagnostic { file: None, line: 0, column: 0, message: problem.detail, hint: problem.hint }]);
    }
    validate(name, kind, source, limits)
}

/// `scripts/hello.rhai`
pub(crate) fn file_of(kind: ScriptKind, name: &str) -> String {
    match kind {
        ScriptKind::Endpoint => format!("scripts/{name}.rhai"),
        ScriptKind::Module => format!("modules/{name}.rhai"),
    }
}

fn placed(file: &str, mut diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.file = Some(file.to_owned());
    diagnostic
}

fn check_routes(bundle: &mut Bundle, errors: &mut Vec<Diagnostic>) {
    let (scripts, modules) = (&bundle.scripts, &bundle.modules);
    for route in &mut bundle.routes {
        if let Err(found) = check_route(route) {
            errors.extend(found);
        }
        if !scripts.contains_key(&route.script) {
            let title = route.title();
            let (message, hint) = if modules.contains_key(&route.script) {
                (format!("route `{title}` leads to module `{}`", route.script), "a route leads to a script in scripts/")
            } else {
                (
                    format!("route `{title}` leads to script `{}`, which does not exist", route.script),
                    "add that file to scripts/, or change `script`",
                )
            };
            errors.push(in_app_toml(message).with_hint(hint));
        }
    }
}

/// Checks path and methods of one route, and brings the methods to their one form.
pub(super) fn check_route(route: &mut RouteSpec) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    for method in &mut route.methods {
        method.make_ascii_uppercase();
        let token = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(token) {
            errors.push(
                in_app_toml(format!("route `{}`: `{method}` is no method", route.path))
                    .with_hint("write `methods = [\"GET\", \"POST\"]`, or leave `methods` out for every method"),
            );
        }
    }
    route.methods.sort();
    route.methods.dedup();
    if let Err(mut error) = parse_path(&route.path) {
        error.file = Some("app.toml".to_owned());
        // The column counts within the path, not within the file, whose lines are not known here.
        error.column = 0;
        errors.push(error);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_static(bundle: &Bundle, errors: &mut Vec<Diagnostic>) -> Vec<StaticWrite> {
    let mut files = Vec::new();
    let mut total = 0;
    for (path, encoded) in &bundle.static_files {
        let file = format!("static/{path}");
        let mut refuse = |message: String| {
            errors.push(Diagnostic { file: Some(file.clone()), line: 0, column: 0, message, hint: None });
        };
        if let Err(message) = check_static_path(path) {
            refuse(message);
            continue;
        }
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else {
            refuse("its content is not base64".to_owned());
            continue;
        };
        if bytes.len() > STATIC_FILE_BYTES_MAX {
            refuse(format!("it has {} bytes, more than {STATIC_FILE_BYTES_MAX}", bytes.len()));
        }
        total += bytes.len();
        files.push(StaticWrite { path: path.clone(), bytes });
    }
    if total > STATIC_APP_BYTES_MAX {
        errors.push(Diagnostic {
            file: Some("static/".to_owned()),
            line: 0,
            column: 0,
            message: format!("all files together have {total} bytes, more than {STATIC_APP_BYTES_MAX}"),
            hint: None,
        });
    }
    files
}
