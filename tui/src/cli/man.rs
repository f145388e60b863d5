//! `picloud man`: manual pages, from the same table as `--help`.

use super::Cli;
use crate::failure::Failure;
use crate::folder::cannot;
use crate::output::Output;
use clap::{Args, CommandFactory};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write a manual page for every command, or print the first one
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  picloud man ~/.local/share/man/man1 && man picloud-scripts-rollback\n  picloud man | man -l -"
)]
pub(crate) struct Man {
    /// The folder to write them to [default: print the page of `picloud`]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Man {
    /// Does it.
    pub(super) fn run(self, output: &Output) -> Result<(), Failure> {
        let command = Cli::command();
        let Some(folder) = self.folder.filter(|folder| folder != Path::new("-")) else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).expect("memory takes all that is written to it");
            if output.json {
                output.value(&json!({ "page": String::from_utf8_lossy(&page) }));
            } else {
                output.bytes(&page);
            }
            return Ok(());
        };
        std::fs::create_dir_all(&folder).map_err(|error| cannot("make the folder", &folder, &error))?;
        let pages = write(&folder, command)?;
        let shown = folder.display().to_string();
        if output.json {
            output.value(&json!({ "folder": shown, "pages": pages }));
        } else {
            output.text(&format!("{pages} manual pages are written to {shown}"));
        }
        Ok(())
    }
}

/// Writes a page for the command and each one below it, named `picloud-keys-create.1`.
fn write(folder: &Path, command: clap::Command) -> Result<usize, Failure> {
    // Without the `help` command, which would have a page for every other command once more.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = 0;
    let mut rest = vec![(command.get_name().to_owned(), command)];
    while let Some((name, command)) = rest.pop() {
        for below in command.get_subcommands() {
            rest.push((format!("{name}-{}", below.get_name()), below.clone()));
        }
        let path = folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        let page_of = clap_mangen::Man::new(command.display_name(name.clone()));
        page_of.render(&mut page).expect("memory takes all that is written to it");
        std::fs::write(&path, page).map_err(|error| cannot("write", &path, &error))?;
        pages += 1;
    }
    Ok(pages)
}
