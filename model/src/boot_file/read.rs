//! Reads the file: every fault at once, each with its place and what to do about it.

use super::keys::{KEYS, Key, Wrong};
use super::mask::is_erased;
use super::{BOOT_FILE, BOOT_FILE_BYTES_MAX, BootFile, Setting};
use crate::app_folder::{known_hint, place};
use crate::clock::{UnixMs, rfc3339};
use crate::script::Diagnostic;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Tables whose lines go into the programs' own settings files.
const SETTINGS: &str = "settings";
/// Settings of the programs that hold a secret.
pub(super) const SECRET_SETTINGS: &[&str] = &["database_url", "join_token"];

/// What the file says, or all that is wrong with it. `now` is what the clock says, where it can be believed.
pub fn read(text: &str, now: Option<UnixMs>) -> Result<BootFile, Vec<Diagnostic>> {
    let mut reader = Reader { text, file: BootFile::default(), found: Vec::new() };
    if text.len() > BOOT_FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {BOOT_FILE_BYTES_MAX}", text.len());
        reader.found.push(whole_file(message, "files of apps go into the folder picloud-apps beside it"));
        return Err(reader.found);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let hint = "a line is `key = \"value\"` with straight quotes, or `[section]`";
        reader.report(error.span().unwrap_or(0..0), error.message().to_owned(), hint.to_owned());
    }
    // What a parser makes of broken text would only raise errors that are not there.
    if errors.is_empty() {
        reader.table("", table.get_ref());
        reader.what_goes_together(now);
    }
    let Reader { file, mut found, .. } = reader;
    found.sort_by_key(|fault| (fault.line, fault.column));
    if found.is_empty() { Ok(file) } else { Err(found) }
}

fn whole_file(message: String, hint: &str) -> Diagnostic {
    Diagnostic { file: Some(BOOT_FILE.to_owned()), line: 0, column: 0, message, hint: Some(hint.to_owned()) }
}

struct Reader<'t> {
    text: &'t str,
    file: BootFile,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn report(&mut self, span: Range<usize>, message: String, hint: String) {
        let (line, column) = place(self.text, span.start);
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        self.found.push(Diagnostic { file: Some(BOOT_FILE.to_owned()), line, column, message, hint });
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, item) in table {
            let (span, name) = (name.span(), name.get_ref().as_ref());
            let path = join(section, name);
            self.file.places.insert(path.clone(), place(self.text, span.start));
            match KEYS.iter().find(|key| key.section == section && key.key == name) {
                Some(key) => self.value(key, item),
                None if is_settings(&path) => self.settings(&path, item),
                None if section.is_empty() && is_section(name) => match item.get_ref().as_table() {
                    Some(below) => self.table(name, below),
                    None => {
                        self.file.places.remove(name);
                        self.report(span, format!("`{name}` is a section"), format!("write it as: [{name}]"));
                    }
                },
                None => self.unknown(section, name, span),
            }
        }
    }

    fn value(&mut self, key: &Key, item: &Spanned<DeValue<'_>>) {
        let Err(wrong) = (key.set)(&mut self.file, item.get_ref()) else { return };
        for Wrong { span, message, hint } in wrong {
            let shown = match item.get_ref().as_str() {
                Some(text) if !key.secret => format!(" cannot be {text:?}"),
                _ => " cannot be taken".to_owned(),
            };
            let hint = if hint.is_empty() { format!("expected {}", key.expected) } else { hint };
            self.report(span.unwrap_or_else(|| item.span()), format!("`{}`{shown}: {message}", key.path()), hint);
        }
    }

    fn settings(&mut self, path: &str, item: &Spanned<DeValue<'_>>) {
        let Some(table) = item.get_ref().as_table() else {
            return self.report(item.span(), format!("`{path}` is a section"), format!("write it as: [{path}]"));
        };
        for (name, item) in table {
            let key = name.get_ref().to_string();
            self.file.places.insert(join(path, &key), place(self.text, name.span().start));
            let toml = match item.get_ref() {
                DeValue::String(text) => toml::Value::String(text.to_string()).to_string(),
                DeValue::Integer(number) => number.as_str().replace('_', ""),
                DeValue::Boolean(on) => on.to_string(),
                other => {
                    let message = format!("`{path}.{key}` cannot be a TOML {}", other.type_str());
                    self.report(item.span(), message, "settings are texts, numbers, `true` or `false`".to_owned());
                    continue;
                }
            };
            let is_secret = SECRET_SETTINGS.contains(&key.as_str());
            let is_erased = is_secret && item.get_ref().as_str().is_some_and(is_erased);
            let of_node = path.starts_with("node");
            let all = if of_node { &mut self.file.node_settings } else { &mut self.file.appliance_settings };
            all.push(Setting { key, toml, is_erased });
        }
    }

    fn unknown(&mut self, section: &str, name: &str, span: Range<usize>) {
        let mut known: Vec<&str> = KEYS.iter().filter(|key| key.section == section).map(|key| key.key).collect();
        let place = if section.is_empty() {
            known.extend(sections());
            "here".to_owned()
        } else {
            known.extend(Some(SETTINGS).filter(|_settings| is_settings(&join(section, SETTINGS))));
            format!("in [{section}]")
        };
        // A key of another section is more likely in the wrong place than a slip.
        let elsewhere = KEYS.iter().find(|key| key.key == name);
        let hint = elsewhere.map_or_else(
            || known_hint(name, &known),
            |key| match key.section {
                "" => format!("`{name}` goes before the first [section]"),
                section => format!("`{name}` goes below [{section}]"),
            },
        );
        self.report(span, format!("there is no key `{name}` {place}"), hint);
    }

    /// Checks between keys; each at the key or section that it is about.
    fn what_goes_together(&mut self, now: Option<UnixMs>) {
        let mut wrong: Vec<(&str, String, &str)> = Vec::new();
        let (wifi, node) = (&self.file.wifi, &self.file.node);
        if self.file.has("wifi") {
            for (key, is_there) in [("ssid", self.file.has("wifi.ssid")), ("country", self.file.has("wifi.country"))] {
                if !is_there {
                    let hint =
                        if key == "ssid" { "write ssid = \"…\"" } else { "write country = \"DE\", or where you are" };
                    wrong.push(("wifi", format!("[wifi] has no `{key}`"), hint));
                }
            }
            let (has_password, has_psk) = (self.file.has("wifi.password"), self.file.has("wifi.psk"));
            let ways = usize::from(has_password) + usize::from(has_psk) + usize::from(wifi.open);
            match ways {
                1 => {}
                0 => wrong.push((
                    "wifi",
                    "[wifi] has no `password`".to_owned(),
                    "write password = \"…\", or open = true",
                )),
                _ => wrong.push((
                    if has_psk { "wifi.psk" } else { "wifi.open" },
                    "`password`, `psk` and `open` exclude each other".to_owned(),
                    "keep one of them",
                )),
            }
        }
        if self.file.has("ssh") && !self.file.has("ssh.authorized_keys") {
            wrong.push((
                "ssh",
                "[ssh] has no `authorized_keys`".to_owned(),
                "without one nobody could come in: add a key",
            ));
        }
        wrong.extend(self.restore());
        if let (Some(expires), Some(now)) = (node.join_token_expires, now)
            && node.join_token.as_ref().is_some_and(|token| token.given().is_some())
            && expires <= now
        {
            let message = format!("the join token ended at {}, and it is {}", rfc3339(expires), rfc3339(now));
            wrong.push(("node.join_token", message, "make another: picloud join-tokens create"));
        }
        let wrong: Vec<_> = wrong.into_iter().map(|(key, message, hint)| self.file.fault(key, message, hint)).collect();
        self.found.extend(wrong);
    }
}

/// A kind of place with keys of its own for `[restore]`.
struct Place {
    begins: &'static str,
    what: &'static str,
    needs: [&'static str; 2],
    may: &'static [&'static str],
    lacks: &'static str,
    hint: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        begins: "s3:",
        what: "buckets",
        needs: ["restore.s3_access_key", "restore.s3_secret_key"],
        may: &["restore.s3_region"],
        lacks: "a bucket asks for an access key and its secret",
        hint: "write s3_access_key = \"…\" and s3_secret_key = \"…\"",
    },
    Place {
        begins: "sftp:",
        what: "repositories over SSH",
        needs: ["restore.ssh_key", "restore.ssh_host_key"],
        may: &[],
        lacks: "another machine asks for a key, and must prove its own",
        hint: "write ssh_key = \"\"\"…\"\"\" and ssh_host_key = \"…\", as `ssh-keyscan HOST` prints it",
    },
];

impl Reader<'_> {
    /// What `[restore]` needs.
    fn restore(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut wrong = Vec::new();
        if !self.file.has("restore") {
            return wrong;
        }
        for (key, path, hint) in [
            ("repository", "restore.repository", "write repository = \"…\": where the backups are"),
            ("password", "restore.password", "write password = \"…\", as the recovery sheet has it"),
        ] {
            if !self.file.has(path) {
                wrong.push(("restore", format!("[restore] has no `{key}`"), hint));
            }
        }
        let Some(repository) = &self.file.restore.repository else { return wrong };
        for place in PLACES {
            if !repository.starts_with(place.begins) {
                let given = place.needs.iter().chain(place.may).filter(|key| self.file.has(key));
                wrong.extend(given.map(|key| (*key, format!("`{key}` is for {}", place.what), "take the line away")));
            } else if !place.needs.iter().all(|key| self.file.has(key)) {
                wrong.push(("restore", place.lacks.to_owned(), place.hint));
            }
        }
        wrong
    }
}

impl BootFile {
    /// A fault at `key` (`wifi.ssid`, or a section's name).
    pub fn fault(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        let (line, column) = self.place(key);
        Diagnostic { file: Some(BOOT_FILE.to_owned()), line, column, message: message.into(), hint: Some(hint.into()) }
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Every section, once.
pub(super) fn sections() -> Vec<&'static str> {
    let mut all: Vec<&str> = KEYS.iter().map(|key| key.section).filter(|section| !section.is_empty()).collect();
    all.dedup();
    all.push("appliance");
    all
}

fn is_section(name: &str) -> bool {
    sections().contains(&name)
}

fn is_settings(path: &str) -> bool {
    matches!(path, "appliance.settings" | "node.settings")
}
