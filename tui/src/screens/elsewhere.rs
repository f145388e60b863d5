//! Lines for a shell somewhere else, which ask the admin API for what is on the screen.

use crate::app::Facts;
use crate::path::ApiPath;
use crate::place::SYSTEM_SOCKET;

/// A curl line that asks for this; `more` are other arguments, with a blank at their end. A key is never part of it.
pub(super) fn curl(facts: &Facts, path: &ApiPath, more: &str) -> String {
    if facts.appliance.starts_with("http") {
        let url = quoted(&format!("{}{}", facts.appliance.trim_end_matches('/'), path.as_str()));
        return format!("curl -fsS {more}-H \"Authorization: Bearer $PICLOUD_KEY\" {url}");
    }
    let url = quoted(&format!("http://picloud{}", path.as_str()));
    format!("curl -fsS {more}--unix-socket {SYSTEM_SOCKET} {url}")
}

/// As a word of a shell.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{ScreenId, testing::Bench};

    #[test]
    fn words_reach_the_shell_as_they_are() {
        for (word, shown) in [
            ("plain-1.json", "plain-1.json"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$(reboot)", "'$(reboot)'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn a_line_goes_to_the_socket_or_the_url_and_has_no_key() {
        let mut facts = Bench::at(ScreenId::Kv).app.facts;
        let path = ApiPath::of_app("a", &["kv", "b c"]).query("prefix", Some("x"));
        let at_socket =
            "curl -fsS --unix-socket /run/picloud/admin.sock 'http://picloud/api/v1/apps/a/kv/b%20c?prefix=x'";
        assert_eq!(curl(&facts, &path, ""), at_socket);
        facts.appliance = "https://pi:8443".to_owned();
        let at_url =
            "curl -fsS -O -H \"Authorization: Bearer $PICLOUD_KEY\" 'https://pi:8443/api/v1/apps/a/kv/b%20c?prefix=x'";
        assert_eq!(curl(&facts, &path, "-O "), at_url);
    }
}
