//! The table of keys: one row each, from which reading, errors, the example and the documentation come.

use super::checks::{self, Refusal};
use super::mask::is_erased;
use super::{BootFile, BootSecret, SSH_KEYS_MAX};
use crate::join_token::TokenParts;
use crate::placement::{LABELS_MAX, check_label};
use std::ops::Range;
use toml::de::DeValue;

/// What is wrong with a value: where within it, if not all of it, and what to do.
pub(super) struct Wrong {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What taking a value ends with: every fault of it.
pub(super) type Taken = Result<(), Vec<Wrong>>;

/// One key.
pub struct Key {
    /// The table that it stands in; empty for the first lines.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What a value must be.
    pub expected: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
    /// Whether the value is removed from the card once it was used.
    pub secret: bool,
    /// Takes a value, or says what is wrong with it.
    pub(super) set: fn(&mut BootFile, &DeValue<'_>) -> Taken,
}

impl Key {
    /// `wifi.ssid`
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }
}

const ROW: Key =
    Key { section: "", key: "", expected: "", doc: "", example: "", secret: false, set: |_file, _value| Ok(()) };

/// All keys, beside the lines of `[appliance.settings]` and `[node.settings]`.
pub const KEYS: &[Key] = &[
    Key {
        key: "host_name",
        expected: "a name in quotes: 1 to 63 of a-z, 0-9 and `-`",
        doc: "The machine's name: `garage` answers as garage.local",
        example: "\"picloud\"",
        set: |file, value| text(value, checks::host_name, |name| file.host_name = Some(name)),
        ..ROW
    },
    Key {
        key: "time_zone",
        expected: "a time zone in quotes, such as \"Europe/Berlin\"",
        doc: "Where the machine's clock stands",
        example: "\"Europe/Berlin\"",
        set: |file, value| text(value, checks::time_zone, |zone| file.time_zone = Some(zone)),
        ..ROW
    },
    Key {
        section: "wifi",
        key: "ssid",
        expected: "the network's name in quotes",
        doc: "The wireless network",
        example: "\"my network\"",
        set: |file, value| text(value, checks::ssid, |ssid| file.wifi.ssid = Some(ssid)),
        ..ROW
    },
    Key {
        section: "wifi",
        key: "password",
        expected: "the network's password in quotes, 8 to 63 characters",
        doc: "Its password",
        example: "\"my password\"",
        secret: true,
        set: |file, value| secret(value, checks::wifi_password, |it| file.wifi.password = Some(it)),
    },
    Key {
        section: "wifi",
        key: "psk",
        expected: "64 digits from 0 to f in quotes",
        doc: "In place of the password, the key that `wpa_passphrase` makes of it",
        example: "\"0123…\"",
        secret: true,
        set: |file, value| secret(value, checks::psk, |it| file.wifi.psk = Some(it)),
    },
    Key {
        section: "wifi",
        key: "open",
        expected: "`true` or `false`",
        doc: "The network has no password",
        example: "true",
        set: |file, value| switch(value, |on| file.wifi.open = on),
        ..ROW
    },
    Key {
        section: "wifi",
        key: "country",
        expected: "a country's two letters of ISO 3166 in quotes",
        doc: "Where the radio stands: it may send on other channels in each country",
        example: "\"DE\"",
        set: |file, value| text(value, checks::country, |code| file.wifi.country = Some(code)),
        ..ROW
    },
    Key {
        section: "wifi",
        key: "hidden",
        expected: "`true` or `false`",
        doc: "The network does not say its name",
        example: "true",
        set: |file, value| switch(value, |on| file.wifi.hidden = on),
        ..ROW
    },
    Key {
        section: "ssh",
        key: "user",
        expected: "the name of an account in quotes",
        doc: "As whom you come in; made where there is none, and may use sudo",
        example: "\"pi\"",
        set: |file, value| text(value, checks::user, |user| file.ssh.user = Some(user)),
        ..ROW
    },
    Key {
        section: "ssh",
        key: "authorized_keys",
        expected: "a list of public keys: [\"ssh-ed25519 AAAA… me@laptop\"]",
        doc: "With which keys: the lines of your .pub files",
        example: "[\"ssh-ed25519 AAAA… me@laptop\"]",
        set: ssh_keys,
        ..ROW
    },
    Key {
        section: "node",
        key: "appliance",
        expected: "HOST or HOST:PORT in quotes",
        doc: "Where the appliance is; it is also looked for on the network",
        example: "\"picloud.local\"",
        set: |file, value| text(value, checks::appliance, |address| file.node.appliance = Some(address)),
        ..ROW
    },
    Key {
        section: "node",
        key: "join_token",
        expected: "a join token in quotes, as `picloud join-tokens create` prints it",
        doc: "Lets the node in without anybody approving it, and names the appliance that it trusts",
        example: "\"PC1.…\"",
        secret: true,
        set: |file, value| secret(value, join_token, |it| file.node.join_token = Some(it)),
    },
    Key {
        section: "node",
        key: "join_token_expires",
        expected: "a time in quotes, such as \"2030-01-31T12:00:00Z\"",
        doc: "When the token ends: one that has ended is refused here instead of at the appliance",
        example: "\"2030-01-31T12:00:00Z\"",
        set: |file, value| {
            let time = |text: &str| text.parse::<jiff::Timestamp>().map_err(|_no_time| no_time());
            text(value, time, |at| file.node.join_token_expires = Some(at.as_millisecond()))
        },
        ..ROW
    },
    Key {
        section: "node",
        key: "labels",
        expected: "a table of texts: { room = \"garage\", relay = \"\" }",
        doc: "What the machine says of itself, for scripts that need it",
        example: "{ room = \"garage\", relay = \"\" }",
        set: labels,
        ..ROW
    },
    Key {
        section: "restore",
        key: "repository",
        expected: "a folder (\"/boot/firmware/backup\"), another machine (\"sftp:USER@HOST:/FOLDER\") or a bucket \
                   (\"s3:https://HOST/BUCKET\") in quotes",
        doc: "Where the backup is that a new appliance begins with",
        example: "\"s3:https://s3.example.org/picloud\"",
        set: |file, value| text(value, checks::repository, |place| file.restore.repository = Some(place)),
        ..ROW
    },
    Key {
        section: "restore",
        key: "password",
        expected: "the password in quotes",
        doc: "The repository's password; it stands on the recovery sheet",
        example: "\"abcde-…\"",
        secret: true,
        set: |file, value| secret(value, checks::word, |it| file.restore.password = Some(it)),
    },
    Key {
        section: "restore",
        key: "snapshot",
        expected: "a backup's id in quotes: 8 to 64 digits from 0 to f",
        doc: "Which backup, as `picloud-appliance repository list` shows it; the newest where it is left out",
        example: "\"1a2b3c4d\"",
        set: |file, value| text(value, checks::snapshot, |id| file.restore.snapshot = Some(id)),
        ..ROW
    },
    Key {
        section: "restore",
        key: "s3_access_key",
        expected: "the access key's id in quotes",
        doc: "For a bucket: the id of its access key",
        example: "\"AKIA…\"",
        set: |file, value| text(value, checks::word, |key| file.restore.s3_access_key = Some(key)),
        ..ROW
    },
    Key {
        section: "restore",
        key: "s3_secret_key",
        expected: "the access key's secret in quotes",
        doc: "For a bucket: the secret of that key",
        example: "\"…\"",
        secret: true,
        set: |file, value| secret(value, checks::word, |it| file.restore.s3_secret_key = Some(it)),
    },
    Key {
        section: "restore",
        key: "s3_region",
        expected: "a region's name in quotes",
        doc: "For a bucket: its region, where it has some",
        example: "\"eu-central-1\"",
        set: |file, value| text(value, checks::word, |region| file.restore.s3_region = Some(region)),
        ..ROW
    },
    Key {
        section: "restore",
        key: "ssh_key",
        expected: "a private key without a passphrase, all its lines between three quotes",
        doc: "For another machine: the private key that it lets in",
        example: "\"\"\"-----BEGIN OPENSSH PRIVATE KEY-----…\"\"\"",
        secret: true,
        set: |file, value| secret(value, checks::private_key, |it| file.restore.ssh_key = Some(it)),
    },
    Key {
        section: "restore",
        key: "ssh_host_key",
        expected: "that machine's public key in quotes",
        doc: "For another machine: its own public key, so that no other one is trusted: `ssh-keyscan HOST` prints it",
        example: "\"ssh-ed25519 AAAA…\"",
        set: |file, value| text(value, checks::host_key, |key| file.restore.ssh_host_key = Some(key)),
        ..ROW
    },
];

fn no_time() -> Refusal {
    ("it is no time".to_owned(), "write \"2030-01-31T12:00:00Z\"".to_owned())
}

fn join_token(text: &str) -> Result<String, Refusal> {
    let token = text.parse::<TokenParts>();
    token.map(|token| token.text()).map_err(|bad| (bad.to_string(), "copy it whole, with its three dots".to_owned()))
}

fn whole(message: impl Into<String>, hint: impl Into<String>) -> Vec<Wrong> {
    vec![Wrong { span: None, message: message.into(), hint: hint.into() }]
}

/// The message for a value of another kind is the row's: nothing is said here.
fn other_kind(value: &DeValue<'_>) -> Vec<Wrong> {
    whole(format!("it is a TOML {}", value.type_str()), "")
}

fn text<T>(value: &DeValue<'_>, check: impl Fn(&str) -> Result<T, Refusal>, mut take: impl FnMut(T)) -> Taken {
    let text = value.as_str().ok_or_else(|| other_kind(value))?;
    take(check(text).map_err(|(message, hint)| whole(message, hint))?);
    Ok(())
}

fn secret(value: &DeValue<'_>, check: fn(&str) -> Result<String, Refusal>, mut take: impl FnMut(BootSecret)) -> Taken {
    if value.as_str().is_some_and(is_erased) {
        take(BootSecret::Erased);
        return Ok(());
    }
    text(value, check, |it| take(BootSecret::Given(it)))
}

fn switch(value: &DeValue<'_>, mut take: impl FnMut(bool)) -> Taken {
    take(value.as_bool().ok_or_else(|| other_kind(value))?);
    Ok(())
}

fn ssh_keys(file: &mut BootFile, value: &DeValue<'_>) -> Taken {
    let items = value.as_array().ok_or_else(|| other_kind(value))?;
    if items.len() > SSH_KEYS_MAX {
        return Err(whole(format!("it has {} keys", items.len()), format!("at most {SSH_KEYS_MAX} are taken")));
    }
    let mut wrong = Vec::new();
    for item in items {
        let taken = text(item.get_ref(), checks::ssh_key, |key| file.ssh.authorized_keys.push(key));
        let at = |it: Wrong| Wrong { span: Some(item.span()), ..it };
        wrong.extend(taken.err().into_iter().flatten().map(at));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn labels(file: &mut BootFile, value: &DeValue<'_>) -> Taken {
    let table = value.as_table().ok_or_else(|| other_kind(value))?;
    if table.len() > LABELS_MAX {
        return Err(whole(format!("it has {} labels", table.len()), format!("at most {LABELS_MAX} are taken")));
    }
    let mut wrong = Vec::new();
    for (name, item) in table {
        let span = Some(name.span().start..item.span().end);
        let name: &str = name.get_ref();
        let Some(text) = item.get_ref().as_str() else {
            let hint = format!("write {name} = \"…\", or {name} = \"\"");
            wrong.push(Wrong { span, message: format!("the label `{name}` is no text"), hint });
            continue;
        };
        match check_label(name, text) {
            Ok(()) => drop(file.node.labels.insert(name.to_owned(), text.to_owned())),
            Err(message) => wrong.push(Wrong { span, message, hint: "such as room = \"garage\"".to_owned() }),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
