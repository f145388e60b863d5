//! The command lines that README.md and docs/ show: in blocks of code, and in backticks in a sentence.
//!
//! Each program's own tests include this file and have their real command line parse what stands there.

use std::path::{Path, PathBuf};

/// A command line of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `docs/cli.md:12`.
    pub(crate) place: String,
    /// The program and its arguments, as a shell would hand them on.
    pub(crate) words: Vec<String>,
    /// Whether it stands in a sentence, where arguments may be left out.
    pub(crate) is_in_sentence: bool,
}

/// Every command line of `program` in the documents.
pub(crate) fn of(program: &str) -> Vec<Shown> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(root.join("README.md"));
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md")) {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        all.extend(in_document(&name, &std::fs::read_to_string(file).unwrap()));
    }
    all.retain(|shown| shown.words[0] == program);
    all
}

/// Has a parser read every command line of `program`; answers what it refuses, where, and why.
pub(crate) fn refused_by(program: &str, parse: impl Fn(&[String]) -> Result<(), clap::Error>) -> Vec<String> {
    use clap::error::ErrorKind;
    let all = of(program);
    assert!(!all.is_empty(), "no document shows `{program}`: is this test blind?");
    let refusal = |shown: Shown| {
        let error = parse(&shown.words).err()?;
        let is_incomplete = matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                | ErrorKind::TooFewValues
                | ErrorKind::WrongNumberOfValues
        );
        // `picloud COMMAND --help`: what stands in capitals stands for something.
        let is_placeholder = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::InvalidValue)
            && error
                .to_string()
                .split('\'')
                .nth(1)
                .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()));
        let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        // The parent starts it, and people only read of it.
        let is_worker = shown.words.get(1).is_some_and(|word| word == "worker");
        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
        (!is_help && !(shown.is_in_sentence && (is_incomplete || is_placeholder || is_worker)))
            .then(|| format!("{}: {}: {why}", shown.place, shown.words.join(" ")))
    };
    all.into_iter().filter_map(refusal).collect()
}

fn in_document(name: &str, text: &str) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut fence: Option<bool> = None;
    let mut begun = String::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        let trimmed = line.trim();
        if let Some(language) = trimmed.strip_prefix("```") {
            // Of code in other languages nothing is a command.
            fence = fence.is_none().then_some(["", "sh", "console", "text"].contains(&language));
            continue;
        }
        match fence {
            Some(true) => {
                begun += trimmed;
                if let Some(goes_on) = begun.strip_suffix('\\') {
                    begun = goes_on.to_owned();
                    continue;
                }
                let commands = commands(&without_prompt(&std::mem::take(&mut begun)));
                all.extend(commands.into_iter().map(|words| Shown {
                    place: place.clone(),
                    words,
                    is_in_sentence: false,
                }));
            }
            Some(false) => {}
            None => {
                let spans = line.split('`').skip(1).step_by(2);
                let commands = spans.flat_map(|span| commands(&span.replace(['[', ']'], "")));
                all.extend(commands.map(|words| Shown { place: place.clone(), words, is_in_sentence: true }));
            }
        }
    }
    all
}

/// `pi$ picloud nodes` is what is typed at `pi`.
fn without_prompt(line: &str) -> String {
    let is_prompt = |word: &str| word.ends_with('$') && word.len() <= 12;
    match line.split_once(' ') {
        Some((first, rest)) if is_prompt(first) => rest.trim().to_owned(),
        _ => line.to_owned(),
    }
}

/// The commands of a line: parts of a pipe, without explanations, redirections, and who they are run by.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = split(line);
    let parts = words.split(|word| ["|", "||", "&&", ";", "&"].contains(&word.as_str()));
    parts.filter_map(|part| own(part.to_vec())).collect()
}

/// Splits as a shell does, with operators as words of their own. A comment, or a gap of two blanks, ends it.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => {
                words.extend(word.take());
                if letters.peek().is_some_and(|next| next.is_whitespace()) && !words.is_empty() {
                    break;
                }
            }
            (None, '|' | '&' | ';') => {
                words.extend(word.take());
                let mut operator = c.to_string();
                if letters.peek() == Some(&c) {
                    operator.extend(letters.next());
                }
                words.push(operator);
            }
            (None, ')') if word.as_deref().is_none_or(|word| !word.contains('(')) => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The command itself: without variables, `sudo`, `ssh` and redirections; as it would be of an installed program.
fn own(mut words: Vec<String>) -> Option<Vec<String>> {
    if let Some(at) = words.iter().position(|word| word.starts_with(['<', '>']) || word.starts_with("2>")) {
        words.truncate(at);
    }
    loop {
        let first = words.first()?.clone();
        // KEY=$(picloud keys create …)
        if let Some((_, command)) = first.split_once("=$(") {
            words[0] = command.to_owned();
        } else if first.contains('=') && !first.starts_with('-') {
            words.remove(0);
        } else if first == "sudo" {
            words.remove(0);
            while words.first().is_some_and(|word| word.starts_with('-')) {
                let flag = words.remove(0);
                if flag == "-u" {
                    words.remove(0);
                }
            }
        } else if first == "ssh" {
            return own(over_ssh(&words[1..]));
        } else if first == "cargo" {
            return of_cargo(&words);
        } else {
            return Some(words);
        }
    }
}

/// `ssh pi COMMAND`; the account `cloud` has `picloud` as its shell.
fn over_ssh(words: &[String]) -> Vec<String> {
    let mut words = words.iter().skip_while(|word| word.starts_with('-')).cloned();
    let host = words.next().unwrap_or_default();
    let mut rest: Vec<String> = words.collect();
    if rest.len() == 1 {
        rest = split(&rest[0]);
    }
    if host.starts_with("cloud@") {
        rest.insert(0, "picloud".to_owned());
    }
    rest
}

/// `cargo run --release -p picloud-appliance -- dev DIR`
fn of_cargo(words: &[String]) -> Option<Vec<String>> {
    if words.get(1)? != "run" {
        return None;
    }
    let package = words.iter().position(|word| word == "-p")? + 1;
    let arguments = words.iter().skip_while(|word| *word != "--").skip(1).cloned();
    Some([words.get(package)?.clone()].into_iter().chain(arguments).collect())
}

#[test]
fn command_lines_are_found_as_people_write_them() {
    let text = "\
Use `picloud nodes approve NAME` and `picloud`.
```
pi$ picloud keys create a --scope 'b c'      # why
KEY=$(picloud keys create ci) | jq
picloud deploy x --plan   what it does
ssh -t cloud@pi 'kv list a' > b
sudo -u picloud picloud-appliance backup \\
  FILE
cargo run --release -p picloud-appliance -- dev x
```
```toml
picloud = 1
```
";
    let found: Vec<String> = in_document("a.md", text)
        .into_iter()
        .map(|shown| format!("{} {}", shown.place, shown.words.join("|")))
        .collect();
    assert_eq!(
        found,
        [
            "a.md:1 picloud|nodes|approve|NAME",
            "a.md:1 picloud",
            "a.md:3 picloud|keys|create|a|--scope|b c",
            "a.md:4 picloud|keys|create|ci",
            "a.md:4 jq",
            "a.md:5 picloud|deploy|x|--plan",
            "a.md:6 picloud|kv|list|a",
            "a.md:8 picloud-appliance|backup|FILE",
            "a.md:9 picloud-appliance|dev|x",
        ]
    );
}
