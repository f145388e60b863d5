//! How the program was called: typed by a person, as a login shell, or by sshd in the place of another command.

use crate::failure::Failure;
use std::ffi::OsString;

/// Programs that bring files through ssh: they come as commands, and are none of ours.
const TRANSFERS: [&str; 7] =
    ["internal-sftp", "sftp-server", "scp", "rsync", "git-upload-pack", "git-receive-pack", "git-upload-archive"];
/// What a shell would act on.
const OF_SHELLS: &str = "|&;<>()$`*?[]#~!{}\n";

/// How it was called.
#[derive(Debug)]
pub(crate) struct Called {
    /// The arguments, the program's name first.
    pub(crate) arguments: Vec<OsString>,
    /// Whether nothing started it that could go on with it, so that there is nobody to suspend to.
    pub(crate) is_login_shell: bool,
}

impl Called {
    /// Makes of what the system says what is meant: `-c COMMAND` is how a login shell is told to run one, and
    /// `original` is what sshd was asked for where it calls this program instead.
    pub(crate) fn of(typed: Vec<OsString>, original: Option<String>, leads_session: bool) -> Result<Self, Failure> {
        let program = typed.first().cloned().unwrap_or_else(|| "picloud".into());
        let is_login_shell = leads_session || program.to_string_lossy().starts_with('-');
        let command = match &typed[1.min(typed.len())..] {
            [flag, command] if flag == "-c" || flag == "-lc" => Some(command.to_string_lossy().into_owned()),
            [flag, then, command] if flag == "-l" && then == "-c" => Some(command.to_string_lossy().into_owned()),
            // A person at a shell that came through such a call has the variable, too, but not this session's lead.
            [] if leads_session => original.clone(),
            _ => None,
        };
        let Some(command) = command else {
            // A login shell is called with a dash before its name, which is none of the help's business.
            let arguments = std::iter::once("picloud".into()).chain(typed.into_iter().skip(1)).collect();
            return Ok(Self { arguments, is_login_shell });
        };
        let mut words = words_of(&command)?;
        if words.first().is_some_and(|first| last_of(first) == "picloud") {
            words.remove(0);
            if let (true, Some(original)) = (words.is_empty() && leads_session, original) {
                words = words_of(&original)?;
                if words.first().is_some_and(|first| last_of(first) == "picloud") {
                    words.remove(0);
                }
            }
        }
        if let Some(first) = words.first()
            && TRANSFERS.contains(&last_of(first))
        {
            return Err(Failure::Refused {
                message: format!("{}: this account opens PiCloud, and takes no files this way", last_of(first)),
                hint: "`picloud files --help` shows how files of apps are sent and fetched".to_owned(),
            });
        }
        let arguments = std::iter::once("picloud".into()).chain(words.into_iter().map(OsString::from)).collect();
        Ok(Self { arguments, is_login_shell })
    }
}

/// Whether it was started by whatever opened the session, rather than by a shell that a person types into: such a shell
/// gives what it starts a process group of its own.
pub(crate) fn leads_session() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpgrp())
}

fn last_of(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The words of a command, quoted as for a shell. There is no shell: what only one could do is refused.
fn words_of(command: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (Some('\''), other) => word.get_or_insert_default().push(other),
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, '\\') => {
                let next = letters.next().ok_or_else(|| unfinished("a backslash ends it"))?;
                let kept = quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`');
                word.get_or_insert_default().extend(kept.then_some('\\').into_iter().chain([next]));
            }
            (Some(_), '$' | '`') => return Err(no_shell(letter)),
            (None, other) if OF_SHELLS.contains(other) => return Err(no_shell(other)),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err(unfinished("a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

fn no_shell(letter: char) -> Failure {
    let shown = if letter == '\n' { "a new line".to_owned() } else { format!("`{letter}`") };
    Failure::usage(
        format!("{shown} is for shells, and none is run here: this account opens PiCloud"),
        "quote it twice, such as: ssh HOST \"kv set counters visits '{}' --app kitchen\"",
    )
}

fn unfinished(why: &str) -> Failure {
    Failure::usage(format!("the command is not finished: {why}"), "quote it as for a shell")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(typed: &[&str], original: Option<&str>, leads: bool) -> Result<Called, Failure> {
        Called::of(typed.iter().map(OsString::from).collect(), original.map(str::to_owned), leads)
    }

    fn arguments(typed: &[&str], original: Option<&str>, leads: bool) -> String {
        let called = called(typed, original, leads).unwrap();
        let words: Vec<String> = called.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join("|")
    }

    #[test]
    fn a_login_shell_is_given_its_command_as_words() {
        assert_eq!(arguments(&["picloud", "-c", "nodes list --json"], None, true), "picloud|nodes|list|--json");
        assert_eq!(arguments(&["picloud", "-c", "picloud nodes list"], None, true), "picloud|nodes|list");
        assert_eq!(arguments(&["picloud", "-l", "-c", "status"], None, true), "picloud|status");
        let quoted = r#"kv set 'a b' "c \"d\"" e\ f '' "{\"n\": 1}""#;
        assert_eq!(arguments(&["picloud", "-c", quoted], None, true), r#"picloud|kv|set|a b|c "d"|e f||{"n": 1}"#);
        assert_eq!(arguments(&["-picloud"], None, true), "picloud");
        assert!(called(&["-picloud"], None, false).unwrap().is_login_shell);
    }

    #[test]
    fn a_forced_command_runs_what_was_asked_for_and_a_person_what_was_typed() {
        assert_eq!(arguments(&["picloud"], Some("nodes list"), true), "picloud|nodes|list");
        assert_eq!(arguments(&["picloud"], Some("picloud status"), true), "picloud|status");
        assert_eq!(arguments(&["picloud"], None, true), "picloud");
        // The login shell is this program, and so is the forced command.
        assert_eq!(arguments(&["picloud", "-c", "/usr/bin/picloud"], Some("nodes list"), true), "picloud|nodes|list");
        // Typed at a shell that was asked for through ssh.
        assert_eq!(arguments(&["picloud"], Some("bash"), false), "picloud");
        assert_eq!(arguments(&["picloud", "status"], Some("bash"), true), "picloud|status");
    }

    #[test]
    fn what_brings_files_is_refused_politely() {
        for command in ["internal-sftp", "/usr/lib/openssh/sftp-server", "scp -t /tmp", "rsync --server ."] {
            for (typed, original) in [(vec!["picloud", "-c", command], None), (vec!["picloud"], Some(command))] {
                let failure = called(&typed, original, true).unwrap_err();
                assert_eq!(failure.exit_code(), 4, "{command}");
                assert!(failure.problem().detail.contains("takes no files"), "{command}");
            }
        }
    }

    #[test]
    fn what_only_a_shell_could_do_is_refused_and_never_done() {
        for command in ["status; rm -r x", "status | head", "status > x", "kv get `id`", "kv get \"$HOME\"", "status &"]
        {
            assert_eq!(called(&["picloud", "-c", command], None, true).unwrap_err().exit_code(), 2, "{command}");
        }
        for command in ["status 'x", "status \\", "status \"x\\"] {
            assert!(called(&["picloud", "-c", command], None, true).is_err(), "{command}");
        }
        assert_eq!(arguments(&["picloud", "-c", "kv get 'a$b;c|d'"], None, true), "picloud|kv|get|a$b;c|d");
    }
}
