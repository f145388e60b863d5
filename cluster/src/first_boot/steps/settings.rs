//! Lines for the program's own settings file. What stands there already stays, but for the same keys.

use super::Job;
use picloud_model::boot_file::Setting;
use std::io::Result;

/// What stands above our lines.
const HEADING: &str = "# From picloud.toml of the boot partition:";
/// Its owner may change it, and the services read it; nobody else, for an address may hold a password.
const MODE: u32 = 0o640;

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    job.plan.settings.as_ref().map(|_text| format!("in {}", job.program.config_file))
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let Some(text) = &job.plan.settings else { return Ok(()) };
    let group = job.disk.owner(super::super::SERVICE_USER).map(|(_user, group)| (0, group));
    job.disk.write(job.program.config_file, text.as_bytes(), MODE, group)
}

/// The file's text with these lines instead of those of the same keys.
pub(in super::super) fn merged(kept: &str, given: &[Setting]) -> String {
    if given.is_empty() {
        return kept.to_owned();
    }
    let key_of = |line: &str| line.split_once('=').map(|(key, _value)| key.trim().trim_matches('"').to_owned());
    let stays = |line: &&str| *line != HEADING && !given.iter().any(|it| key_of(line).as_deref() == Some(&it.key));
    let ours = given.iter().map(|it| format!("{} = {}", it.key, it.toml));
    // What lines of an earlier file were there comes together with the new ones.
    let before = kept.lines().filter(stays).map(str::to_owned);
    let lines: Vec<String> = before.chain(std::iter::once(HEADING.to_owned())).chain(ours).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_the_place_of_those_with_the_same_key_and_comments_stay() {
        let setting = |key: &str, toml: &str| Setting { key: key.to_owned(), toml: toml.to_owned(), is_erased: false };
        let given = [setting("mdns", "false"), setting("log", "\"debug\"")];
        let kept = "# log = \"info\"\nlog = \"warn\"\nconcurrency = 3\n";
        let text = merged(kept, &given);
        assert_eq!(text, format!("# log = \"info\"\nconcurrency = 3\n{HEADING}\nmdns = false\nlog = \"debug\"\n"));
        assert_eq!(merged(&text, &given), text);
        assert_eq!(merged(kept, &[]), kept);
    }
}
