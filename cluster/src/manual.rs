//! What a program says about itself, all from the table that its `--help` comes from: manual pages, completions of
//! shells, and its settings file with everything commented out. Packages have these inside.

use crate::settings::Table;
use crate::terminal::Stopped;
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Adds the commands to a program.
pub fn commands(program: Command) -> Command {
    let name = program.get_name().to_owned();
    program
        .subcommand(
            Command::new("man")
                .about("Write a manual page for every command, or print the first one")
                .after_help(format!(
                    "Examples:\n  {name} man ~/.local/share/man/man1 && man {name}\n  {name} man | man -l -"
                ))
                .arg(
                    Arg::new("DIR")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The folder to write them to [default: print the page of the program]"),
                ),
        )
        .subcommand(
            Command::new("completions")
                .about("Print what a shell needs to complete commands and flags")
                .after_help(format!(
                    "Example: {name} completions bash > ~/.local/share/bash-completion/completions/{name}"
                ))
                .arg(Arg::new("SHELL").required(true).value_parser(clap::value_parser!(Shell)).help("The shell")),
        )
        .subcommand(
            Command::new("example-config")
                .about("Print a settings file with every setting in it, commented out")
                .after_help(
                    format!("Example: {name} example-config > mine.toml && {name} check-config --config mine.toml")
                        .replace("picloud-node check-config", "picloud-node status"),
                ),
        )
}

/// Does one of them; `None` where it is another command's turn.
pub fn run<S>(matches: &ArgMatches, program: Command, table: &Table<S>, defaults: &S) -> Option<Result<(), Stopped>> {
    let name = program.get_name().to_owned();
    Some(match matches.subcommand()? {
        ("man", given) => match given.get_one::<PathBuf>("DIR") {
            Some(folder) => write_pages(folder, program),
            None => print(&page(program)),
        },
        ("completions", given) => {
            let shell: &Shell = given.get_one("SHELL").expect("clap requires it");
            let (mut program, mut script) = (program, Vec::new());
            clap_complete::generate(*shell, &mut program, name, &mut script);
            print(&script)
        }
        ("example-config", _) => print(table.example(&name, defaults).as_bytes()),
        _ => return None,
    })
}

/// A closed pipe is no error: whoever reads has read enough.
fn print(bytes: &[u8]) -> Result<(), Stopped> {
    let mut out = std::io::stdout().lock();
    let _closed = out.write_all(bytes).and_then(|()| out.flush());
    Ok(())
}

fn page(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).expect("memory takes all that is written to it");
    page
}

/// Writes a page for the program and each command below it, named `picloud-node-join.1`.
fn write_pages(folder: &Path, program: Command) -> Result<(), Stopped> {
    let cannot =
        |what: &str, path: &Path, error: &std::io::Error| Stopped(format!("cannot {what} {}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    // Without the `help` command, which would have a page for every other command once more.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut rest = vec![(program.get_name().to_owned(), program)];
    while let Some((name, command)) = rest.pop() {
        for below in command.get_subcommands() {
            rest.push((format!("{name}-{}", below.get_name()), below.clone()));
        }
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page(command.display_name(name))).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        commands(Command::new("picloud-node").about("The agent").subcommand(Command::new("join").about("Joins")))
    }

    #[test]
    fn every_command_has_a_page_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(folder.path(), program()).unwrap();
        let mut pages: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        pages.sort();
        let expected = ["completions", "example-config", "join", "man"].map(|name| format!("picloud-node-{name}.1"));
        assert_eq!(pages[..4], expected);
        assert_eq!(pages[4..], ["picloud-node.1"]);
        let join = std::fs::read_to_string(folder.path().join("picloud-node-join.1")).unwrap();
        assert!(join.contains(r"picloud\-node\-join \- Joins"), "{join}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(Stopped(error)) = write_pages(&file.path().join("man"), program()) else { panic!("it was written") };
        assert!(error.starts_with(&format!("cannot make the folder {}", file.path().display())), "{error}");
    }
}
