//! A file to begin with: every key with what it is for, all of them comments.

use super::keys::KEYS;
use std::fmt::Write;

const HEAD: &str = "\
# picloud.toml: what this machine becomes when it starts. Take the `#` away where you want a line.
# It is read at each start until it was applied, and again after you change it. If anything in it is wrong, nothing of
# it is applied, and picloud-report.txt beside it says which line. What is marked secret is removed after it was used.
";
const TAIL: &str = "
# Lines for /etc/picloud/appliance.toml, of an appliance:
# [appliance.settings]
# admin_addr = \"0.0.0.0:8443\"

# Lines for /etc/picloud/node.toml, of a node:
# [node.settings]
# concurrency = 4

# Apps: put their folders into the folder picloud-apps beside this file.
";

/// The text.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _never = writeln!(text, "\n# [{section}]");
        } else if text.len() == HEAD.len() {
            text.push('\n');
        }
        let secret = if key.secret { " (secret)" } else { "" };
        let line = format!("{} = {}", key.key, key.example);
        let _never = writeln!(text, "# {line:<44} # {}{secret}", key.doc);
    }
    text + TAIL
}
