//! Reads `app.toml` into a bundle whose scripts are known already. Every key it does not know, and every
//! value it cannot use, is reported with its place; it never stops at the first.

use super::{MANIFEST, place};
use crate::allowed_host::AllowedHost;
use crate::app::{HTTP_ALLOW_MAX, HttpPolicy};
use crate::bundle::Bundle;
use crate::limits::{AppLimits, LIMITS};
use crate::name::check_app_name;
use crate::route::{RouteAuth, RouteSpec, parse_path};
use crate::script::Diagnostic;
use serde_json::Value;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const APP_KEYS: &[&str] = &["name", "hosts", "routes", "triggers", "placement", "env", "http", "limits"];
const ROUTE_KEYS: &[&str] = &["methods", "path", "script", "auth"];
const HTTP_KEYS: &[&str] = &["allow"];
const METHOD_BYTES_MAX: usize = 32;

pub(super) type Item<'t> = Spanned<DeValue<'t>>;

/// Reads `text` into `bundle`, whose scripts and modules are those of the folder.
pub(super) fn read(text: &str, bundle: &mut Bundle, found: &mut Vec<Diagnostic>) {
    let mut here = Vec::new();
    let mut reader = Reader { text, found: &mut here };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.report(error.span().unwrap_or(0..0), error.message(), "app.toml is TOML: see docs/app-folder.md");
    }
    // What a parser makes of broken text would only raise errors that are not there.
    if errors.is_empty() {
        reader.app(&table, bundle);
    }
    here.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    found.append(&mut here);
}

/// The value of `name`, if it is a string.
pub(super) fn name(text: &str) -> Option<String> {
    let (table, _errors) = DeTable::parse_recoverable(text);
    table.get_ref().get("name")?.get_ref().as_str().map(str::to_owned)
}

pub(super) struct Reader<'t, 'f> {
    text: &'t str,
    found: &'f mut Vec<Diagnostic>,
}

impl Reader<'_, '_> {
    pub(super) fn report(&mut self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let (line, column) = place(self.text, span.start);
        self.found.push(Diagnostic {
            file: Some(MANIFEST.to_owned()),
            line,
            column,
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    fn app(&mut self, table: &Spanned<DeTable<'_>>, bundle: &mut Bundle) {
        self.refuse_unknown(table.get_ref(), APP_KEYS, "app.toml");
        match table.get_ref().get("name") {
            None => self.report(0..0, "`name` is missing", "write first: name = \"my-app\""),
            Some(item) => bundle.name = self.app_name(item),
        }
        for (key, item) in table.get_ref() {
            match key.get_ref().as_ref() {
                "hosts" => bundle.hosts = self.strings("hosts", item).into_iter().map(|(host, _)| host).collect(),
                "routes" => bundle.routes = self.routes(item, bundle),
                "triggers" => bundle.triggers = self.triggers(item, bundle),
                "placement" => bundle.placement = self.placements(item, bundle),
                "http" => bundle.http = self.http(item),
                "env" => self.env(item, bundle),
                "limits" => self.limits(item, bundle),
                _ => {}
            }
        }
    }

    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[&str], place: &str) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref().as_ref();
            self.report(key.span(), format!("unknown key `{word}` in {place}"), known_hint(word, known));
        }
    }

    fn app_name(&mut self, item: &Item<'_>) -> String {
        let Some(name) = self.string("name", item) else { return String::new() };
        if let Err(problem) = check_app_name(&name) {
            self.report(item.span(), problem.detail, problem.hint.unwrap_or_default());
        }
        name
    }

    pub(super) fn string(&mut self, key: &str, item: &Item<'_>) -> Option<String> {
        let text = item.get_ref().as_str();
        if text.is_none() {
            let kind = item.get_ref().type_str();
            self.report(item.span(), format!("`{key}` is a TOML {kind}, not a string"), "put it in quotes: \"…\"");
        }
        text.map(str::to_owned)
    }

    pub(super) fn strings(&mut self, key: &str, item: &Item<'_>) -> Vec<(String, Range<usize>)> {
        let Some(array) = item.get_ref().as_array() else {
            self.report(item.span(), format!("`{key}` is not an array"), format!("write {key} = [\"…\"]"));
            return Vec::new();
        };
        array.iter().filter_map(|item| Some((self.string(key, item)?, item.span()))).collect()
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables<'i, 't>(
        &mut self,
        key: &str,
        item: &'i Item<'t>,
    ) -> impl Iterator<Item = &'i Item<'t>> + use<'i, 't> {
        let array = item.get_ref().as_array();
        let tables = array.filter(|array| array.iter().all(|item| item.get_ref().is_table()));
        if tables.is_none() {
            self.report(item.span(), format!("`{key}` is not a list of tables"), format!("begin each with [[{key}]]"));
        }
        tables.into_iter().flat_map(|array| array.iter())
    }

    fn routes(&mut self, item: &Item<'_>, bundle: &Bundle) -> Vec<RouteSpec> {
        let mut routes: Vec<RouteSpec> = Vec::new();
        for item in self.tables("routes", item) {
            let Some(route) = self.route(item, bundle) else { continue };
            if routes.contains(&route) {
                let title = route.title();
                self.report(item.span(), format!("the route `{title}` stands twice"), "remove one of the two");
            } else {
                routes.push(route);
            }
        }
        routes
    }

    fn route(&mut self, item: &Item<'_>, bundle: &Bundle) -> Option<RouteSpec> {
        let table = item.get_ref().as_table()?;
        self.refuse_unknown(table, ROUTE_KEYS, "a route");
        for key in ["path", "script"] {
            if table.get(key).is_none() {
                let hint = format!("write path = \"/…\" and script = \"…\" below [[{}]]", "routes");
                self.report(item.span(), format!("a route has no `{key}`"), hint);
            }
        }
        let methods = table.get("methods").map(|item| self.methods(item)).unwrap_or_default();
        let path = table.get("path").and_then(|item| self.path(item));
        let script = table.get("script").and_then(|item| self.script(item, bundle, "a route leads to a script"));
        let auth = match table.get("auth") {
            None => RouteAuth::default(),
            Some(item) => match item.get_ref().as_str() {
                Some("public") => RouteAuth::Public,
                Some("key") => RouteAuth::Key,
                _ => {
                    self.report(item.span(), "`auth` is neither \"public\" nor \"key\"", "leave it out for \"public\"");
                    RouteAuth::default()
                }
            },
        };
        Some(RouteSpec { methods, path: path?, script: script?, auth })
    }

    fn methods(&mut self, item: &Item<'_>) -> Vec<String> {
        let mut methods = Vec::new();
        for (method, span) in self.strings("methods", item) {
            let fits = !method.is_empty() && method.len() <= METHOD_BYTES_MAX;
            if fits && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') {
                methods.push(method.to_ascii_uppercase());
            } else {
                self.report(span, format!("{method:?} is no method"), "methods are words such as GET and POST");
            }
        }
        if item.get_ref().as_array().is_some_and(|array| array.is_empty()) {
            self.report(item.span(), "`methods` is empty", "leave the key out to answer every method");
        }
        methods.sort();
        methods.dedup();
        methods
    }

    fn path(&mut self, item: &Item<'_>) -> Option<String> {
        let path = self.string("path", item)?;
        match parse_path(&path) {
            Ok(_) => Some(path),
            Err(refused) => {
                // The column counts within the path; the path begins after its quote.
                let start = item.span().start + refused.column.min(path.len());
                self.report(start..start, refused.message, refused.hint.unwrap_or_default());
                None
            }
        }
    }

    pub(super) fn script(&mut self, item: &Item<'_>, bundle: &Bundle, wants: &str) -> Option<String> {
        let script = self.string("script", item)?;
        self.refuse_no_script(&script, item.span(), bundle, wants);
        Some(script)
    }

    /// Says that `script` is none of the folder's, where it is none.
    pub(super) fn refuse_no_script(&mut self, script: &str, span: Range<usize>, bundle: &Bundle, wants: &str) {
        if bundle.modules.contains_key(script) {
            let message = format!("`{script}` is a module, and {wants}");
            self.report(span, message, "write a script that imports it");
        } else if !bundle.scripts.contains_key(script) {
            let known: Vec<&str> = bundle.scripts.keys().map(String::as_str).collect();
            let hint = match closest(script, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write scripts/{script}.rhai"),
            };
            self.report(span, format!("there is no script `{script}`"), hint);
        }
    }

    fn env(&mut self, item: &Item<'_>, bundle: &mut Bundle) {
        let Some(table) = item.get_ref().as_table() else {
            return self.report(item.span(), "`env` is not a table", "begin it with [env]");
        };
        for (key, item) in table {
            let key = key.get_ref().as_ref();
            if let Some(value) = self.string(key, item) {
                bundle.env.insert(key.to_owned(), value);
            }
        }
    }

    fn http(&mut self, item: &Item<'_>) -> HttpPolicy {
        let Some(table) = item.get_ref().as_table() else {
            self.report(item.span(), "`http` is not a table", "begin it with [http]");
            return HttpPolicy::default();
        };
        self.refuse_unknown(table, HTTP_KEYS, "[http]");
        let entries = table.get("allow").map(|item| self.strings("allow", item)).unwrap_or_default();
        for (entry, span) in &entries {
            if let Err(message) = AllowedHost::parse(entry) {
                self.report(span.clone(), message, "it is for what is not the public internet, which needs no entry");
            }
        }
        if entries.len() > HTTP_ALLOW_MAX {
            let message = format!("`allow` has {} entries, more than {HTTP_ALLOW_MAX}", entries.len());
            self.report(item.span(), message, "name a network in place of its hosts: \"192.168.1.0/24\"");
        }
        HttpPolicy { allow: entries.into_iter().map(|(entry, _span)| entry).collect() }
    }

    fn limits(&mut self, item: &Item<'_>, bundle: &mut Bundle) {
        let Some(table) = item.get_ref().as_table() else {
            return self.report(item.span(), "`limits` is not a table", "begin it with [limits]");
        };
        let known: Vec<&str> = LIMITS.iter().map(|row| row.name).collect();
        self.refuse_unknown(table, &known, "[limits]");
        for (key, item) in table {
            let Some(row) = LIMITS.iter().find(|row| row.name == key.get_ref().as_ref()) else { continue };
            let number = integer(item.get_ref()).and_then(|number| u64::try_from(number).ok());
            match number.filter(|number| (1..=row.ceiling).contains(number)) {
                Some(number) => bundle.limits = with_limit(&bundle.limits, row.name, number),
                None => self.report(
                    item.span(),
                    format!("`{}` is not a whole number from 1 to {}", row.name, row.ceiling),
                    format!("leave it out for the default, {}", row.default),
                ),
            }
        }
    }
}

/// `limits` with `name` set, through the one table that knows the names.
fn with_limit(limits: &AppLimits, name: &str, number: u64) -> AppLimits {
    let mut value = serde_json::to_value(limits).expect("limits are numbers by name");
    value[name] = number.into();
    serde_json::from_value(value).expect("the name is one of the table")
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A value as JSON. What JSON cannot say (dates, infinity) becomes its text.
pub(super) fn json(item: &Item<'_>, depth: usize) -> Value {
    const DEPTH_MAX: usize = 32;
    match item.get_ref() {
        _ if depth > DEPTH_MAX => Value::Null,
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Integer(number) => integer(item.get_ref()).map_or_else(|| number.to_string().into(), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Value::from(number.as_str()), Value::Number),
        DeValue::Datetime(at) => at.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item, depth + 1)).collect(),
        DeValue::Table(table) => {
            Value::Object(table.iter().map(|(key, item)| (key.get_ref().to_string(), json(item, depth + 1))).collect())
        }
    }
}

/// What to do about a key that is none of `known`.
pub(crate) fn known_hint(word: &str, known: &[&str]) -> String {
    match closest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", known.join(", ")),
    }
}

/// The one of `known` that `word` is most likely a slip of.
fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if let Some(longer) = known.iter().find(|known| word.len() >= 3 && known.starts_with(word)) {
        return Some(longer);
    }
    let slips_max = match word.len() {
        0..4 => 1,
        4..9 => 2,
        _ => 3,
    };
    let near = known.iter().map(|known| (slips(word, known), *known)).min()?;
    (near.0 <= slips_max).then_some(near.1)
}

/// How many letters must be added, dropped or changed to make `one` into `other`.
fn slips(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
