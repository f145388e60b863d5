//! Secrets and addresses by what they look like, taken out of text: the second line behind the names of fields.

use super::LEFT_OUT;
use picloud_model::key::KEY_PREFIX;
use picloud_model::redact::Redactor;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Words after which something secret comes, in lower case.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "psk",
    "credential",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "bearer",
    "basic",
];
/// Headers whose whole line is secret.
const SECRET_LINES: &[&str] = &["authorization", "cookie", "set-cookie", "x-api-key"];
/// So many hexadecimal digits in a row are a key, or the hash of one.
const HEX_DIGITS_MIN: usize = 32;
/// So many letters, capitals and digits mixed are no word.
const MIXED_LETTERS_MIN: usize = 20;
/// A key's random part is longer than this.
const KEY_LETTERS_MIN: usize = 24;

/// Takes them out; the same address gets the same number in all texts.
pub(super) struct Shapes {
    known: Redactor,
    addresses: BTreeMap<IpAddr, usize>,
}

impl Shapes {
    /// With a secret that is known by value.
    pub(super) fn new(key: Option<&str>) -> Self {
        Self { known: Redactor::new(key), addresses: BTreeMap::new() }
    }

    /// The text without them.
    pub(super) fn redacted(&mut self, mut text: String) -> String {
        self.known.redact(&mut text);
        let mut is_in_pem = false;
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            if line.contains("-----BEGIN ") {
                is_in_pem = true;
                out += LEFT_OUT;
                out.push('\n');
            }
            if !is_in_pem {
                out += &self.line(line);
            }
            // All of it on one line, as JSON has it, ends there as well.
            if line.contains("-----END ") {
                is_in_pem = false;
            }
        }
        out
    }

    fn line(&mut self, line: &str) -> String {
        let lower = line.to_ascii_lowercase();
        if let Some(end) = SECRET_LINES.iter().filter_map(|name| after(&lower, name)).min() {
            let line_end = if line.ends_with('\n') { "\n" } else { "" };
            return format!("{}: {LEFT_OUT}{line_end}", &line[..end]);
        }
        let mut out = String::with_capacity(line.len());
        let mut is_secret_next = false;
        for part in parts(line) {
            if !part.contains(char::is_alphanumeric) {
                out += part;
                // A sentence's end ends what a name announced.
                is_secret_next &= !part.contains(['\n', ',', ';']);
                continue;
            }
            let names_a_secret = names_secret(part);
            if is_secret_next && !names_a_secret && part != LEFT_OUT.trim_matches(['[', ']']) {
                out += LEFT_OUT;
                is_secret_next = false;
            } else {
                out += &self.word(part);
                is_secret_next = names_a_secret;
            }
        }
        out
    }

    fn word(&mut self, word: &str) -> String {
        if let Some((scheme, rest)) = word.split_once("://") {
            let host = rest.rsplit_once('@').map_or(rest, |(_who, host)| host);
            let who = if host.len() == rest.len() { String::new() } else { format!("{LEFT_OUT}@") };
            return format!("{scheme}://{who}{}", self.path(host));
        }
        if is_mac(word) {
            return "[hardware address]".to_owned();
        }
        if let Some(shown) = self.address(word) {
            return shown;
        }
        if word.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.')) {
            return "[e-mail address]".to_owned();
        }
        self.path(word)
    }

    /// A word of several parts: paths, names with dots and dashes.
    fn path(&mut self, word: &str) -> String {
        if let Some(shown) = self.address(word) {
            return shown;
        }
        let pieces = word.split('/').map(|piece| match self.address(piece) {
            Some(shown) => shown,
            None if is_secret(piece) => LEFT_OUT.to_owned(),
            None => piece.to_owned(),
        });
        pieces.collect::<Vec<_>>().join("/")
    }

    /// An address that leads to somebody from outside is replaced by a number; others are shown as they are.
    fn address(&mut self, word: &str) -> Option<String> {
        let (address, port) = match word.parse::<SocketAddr>() {
            Ok(both) => (both.ip(), format!(":{}", both.port())),
            Err(_no_port) => (word.trim_matches(['[', ']']).parse::<IpAddr>().ok()?, String::new()),
        };
        if is_harmless(address) {
            return Some(word.to_owned());
        }
        let number = self.addresses.len() + 1;
        let number = *self.addresses.entry(address).or_insert(number);
        Some(format!("[address {number}]{port}"))
    }
}

/// Addresses that tell nothing outside of their own network. IPv6 ones may hold the hardware's address.
fn is_harmless(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private()
                || v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast(),
    }
}

/// Where what follows a name and a colon begins.
fn after(lower: &str, name: &str) -> Option<usize> {
    let at = lower.find(name)? + name.len();
    let rest = lower[at..].trim_start_matches(['"', '\'', '\\', ' ']);
    rest.starts_with(':').then_some(at)
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || "\"'`,;=()<>{}|\\".contains(c)
}

/// Words and what stands between them, in turn.
fn parts(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_gap = is_between(first);
        let end = rest.find(|c| is_between(c) != is_gap).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// `password`, `Password:`, `backup_password`; not `passwords` of a sentence.
fn names_secret(word: &str) -> bool {
    let lower = word.trim_end_matches(':').to_ascii_lowercase();
    let is_named =
        |name: &str| lower == name || lower.strip_suffix(name).is_some_and(|before| before.ends_with(['_', '-', '.']));
    SECRET_NAMES.iter().any(|name| is_named(name))
}

/// Whether a word looks like a key, a token or a hash.
fn is_secret(word: &str) -> bool {
    let is_run = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
    let has_key = word.find(KEY_PREFIX).is_some_and(|at| {
        let random = &word[at + KEY_PREFIX.len()..];
        let letters = random.chars().take_while(|c| is_run(*c)).count();
        letters >= KEY_LETTERS_MIN && random.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    });
    let has_run = word.split(|c| !is_run(c)).any(|run| {
        let digits_only = run
            .split(['_', '-', '+'])
            .any(|hex| hex.len() >= HEX_DIGITS_MIN && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
        let is_mixed = run.len() >= MIXED_LETTERS_MIN
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_digit);
        digits_only || is_mixed
    });
    has_key || has_run || word.starts_with("PC1.") || word.starts_with("AGE-SECRET-KEY-")
}

fn is_mac(word: &str) -> bool {
    let groups: Vec<&str> = word.split([':', '-']).collect();
    groups.len() == 6
        && groups.iter().all(|group| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        Shapes::new(Some("my-own-key")).redacted(text.to_owned())
    }

    #[test]
    fn what_looks_like_a_secret_is_replaced_wherever_it_stands() {
        let key = format!("{KEY_PREFIX}{}", "aB3".repeat(15));
        let token = format!("PC1.{}.7.{}", "0".repeat(32), "1".repeat(32));
        for (text, shown) in [
            (format!("key {key}."), "key [left out]"),
            (format!("{{\"key\":\"{key}\"}}"), "{\"key\":\"[left out]\"}"),
            (format!("join {token}, now"), "join [left out], now"),
            ("postgres://me:hunter2@db/x".to_owned(), "postgres://[left out]@db/x"),
            ("password: hunter2".to_owned(), "password: [left out]"),
            ("{\"db_password\": \"hunter2\"}".to_owned(), "{\"db_password\": \"[left out]\"}"),
            ("token=hunter2 x".to_owned(), "token=[left out] x"),
            ("Authorization: Basic aHVudGVyMg==\n".to_owned(), "Authorization: [left out]\n"),
            ("with Bearer hunter2".to_owned(), "with Bearer [left out]"),
            ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nafter".to_owned(), "[left out]\nafter"),
            (format!("at {}", "0f".repeat(32)), "at [left out]"),
            ("x/Zm9vYmFyMTIzNDU2Nzg5QUJD/y".to_owned(), "x/[left out]/y"),
            ("it is my-own-key here".to_owned(), "it is [redacted] here"),
            ("ada@example.org wrote".to_owned(), "[e-mail address] wrote"),
            ("link b8:27:eb:12:34:56 up".to_owned(), "link [hardware address] up"),
        ] {
            assert_eq!(redacted(&text), shown);
        }
    }

    #[test]
    fn addresses_from_outside_are_numbers_and_those_of_a_home_are_shown() {
        let text = "from 203.0.113.7:4711 to 192.168.1.20:8080, again 203.0.113.7, then [2001:db8::1]:443 and 127.0.0.1, https://203.0.113.7/x";
        assert_eq!(
            redacted(text),
            "from [address 1]:4711 to 192.168.1.20:8080, again [address 1], then [address 2]:443 and 127.0.0.1, https://[address 1]/x"
        );
    }

    #[test]
    fn what_people_need_to_read_stays() {
        for text in [
            "2026-11-22T03:17:25+0000 picloud-appliance[812]: INFO the appliance is ready",
            "/var/lib/picloud/files/ab/cd is missing",
            "picloud_backup_last_success_timestamp_seconds 1.7e9",
            "execution 0190c5e2-7c1a-7f3e-8b2d-1234567890ab failed",
            "no passwords are kept",
            "version 0.1.0, kernel 6.12.47+rpt-rpi-v8 #1 SMP PREEMPT",
            "Linux raspberrypi4-model-b-rev-1.4 aarch64",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
