//! The two shapes of name: of apps, and of scripts and modules.

use crate::problem::{Code, Problem};

/// Namespaces of the SDK, present and planned: a module of that name could never be reached.
pub const RESERVED_MODULE_NAMES: &[&str] = &[
    "kv", "files", "pubsub", "timer", "http", "scripts", "env", "secrets", "log", "json", "time", "crypto", "base64",
    "url", "html", "uuid", "regex", "csv", "ctx", "global", "sdk", "xml", "yaml", "math", "tz", "stream", "mqtt",
    "gpio",
];

/// Refuses an app name that is not `[a-z][a-z0-9-]{0,62}`.
pub fn check_app_name(name: &str) -> Result<(), Problem> {
    check(name, '-').ok_or_else(|| {
        Problem::new(Code::Malformed, format!("`{name}` is no app name"))
            .hint("an app name is a lower-case letter and then up to 62 of a-z, 0-9 and `-`")
    })
}

/// Refuses a script or module name that is not `[a-z][a-z0-9_]{0,62}`.
pub fn check_script_name(name: &str) -> Result<(), Problem> {
    check(name, '_').ok_or_else(|| {
        Problem::new(Code::Malformed, format!("`{name}` is no script name"))
            .hint("a script name is a lower-case letter and then up to 62 of a-z, 0-9 and `_`")
    })
}

/// Refuses a module name that is no script name or is a namespace of the SDK.
pub fn check_module_name(name: &str) -> Result<(), Problem> {
    check_script_name(name)?;
    if RESERVED_MODULE_NAMES.contains(&name) {
        return Err(Problem::new(Code::Malformed, format!("`{name}` is a namespace of the SDK"))
            .hint("give the module another name"));
    }
    Ok(())
}

fn check(name: &str, also: char) -> Option<()> {
    let mut letters = name.chars();
    let first = letters.next()?.is_ascii_lowercase();
    let rest = letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also);
    (first && rest && name.len() <= 63).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_shape() {
        for good in ["a", "kitchen", "kitchen-2", &"a".repeat(63)] {
            assert!(check_app_name(good).is_ok(), "{good}");
        }
        for bad in ["", "2a", "A", "a_b", "a/b", "é", &"a".repeat(64)] {
            assert!(check_app_name(bad).is_err(), "{bad}");
        }
        assert!(check_script_name("on_widget").is_ok());
        assert!(check_script_name("on-widget").is_err());
        assert!(check_module_name("kv").is_err());
    }
}
