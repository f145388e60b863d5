//! `picloud support-bundle`: what somebody who helps needs to see, without what nobody may see; shown before it is saved.

use super::Session;
use super::show::size;
use crate::config::write_private;
use crate::doctor::{Machine, Real, Report};
use crate::failure::Failure;
use crate::folder::cannot;
use crate::support::{self, Piece};
use clap::Args;
use serde_json::{Value, json, to_value};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Gather what somebody who helps needs to see: versions, findings, metrics, logs; without secrets
///
/// Of answers, configuration and logs only fields that are known to be harmless are taken, and what looks like a secret
/// or a public address is replaced. Never in it: sources, stored values, files, secrets, keys, tokens. What would be saved
/// is shown first; read it before you give it away.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  picloud support-bundle help.tar.gz           shows what is in it, and asks
  picloud support-bundle --show | less         all of it, to read; nothing is saved
  picloud support-bundle help.tar.gz --yes     saves it without asking, for programs")]
pub(crate) struct SupportBundle {
    /// The file to write
    #[arg(value_name = "FILE", required_unless_present = "show")]
    file: Option<PathBuf>,
    /// Print all that would be in it, and save nothing
    #[arg(long, conflicts_with_all = ["file", "yes"])]
    show: bool,
    /// Save it without asking
    #[arg(long)]
    yes: bool,
    /// Write nothing to measure the speed of the card
    #[arg(long)]
    no_card_test: bool,
}

impl SupportBundle {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.show && !self.yes && !can_ask {
            let hint = "look at it with --show, then give --yes; on a terminal it is shown and asked for";
            return Err(Failure::usage("nobody is here to look at the bundle before it is saved", hint));
        }
        let (place, is_here, told) = session.examine(Vec::new(), !self.no_card_test).await?;
        let doctor = to_value(Report::of(&told, &place, is_here)).expect("a report has names as keys");
        let machine = Real::below("/");
        let machine = is_here.then_some(&machine as &dyn Machine);
        let pieces = support::gather(&session.client, machine, &doctor, session.settings.key.as_deref()).await;
        if self.show {
            session.output.text(&all(&pieces));
            return Ok(());
        }
        let file = self.file.expect("clap requires it where nothing is shown");
        session.output.note(&table(&pieces));
        if !self.yes {
            ask(session, &pieces)?;
        }
        write_private(&file, |to| support::write(&pieces, to)).map_err(|error| cannot("write", &file, &error))?;
        let bytes = std::fs::metadata(&file).map_err(|error| cannot("read", &file, &error))?.len();
        let shown = file.display().to_string();
        let sentence = format!(
            "the bundle is in {shown}: {}; only you may read it",
            size(i64::try_from(bytes).unwrap_or(i64::MAX))
        );
        session.done(&summary(&shown, bytes, &pieces), &sentence);
        Ok(())
    }
}

/// Asks until it is known; `s` shows all of it.
fn ask(session: &Session<'_>, pieces: &[Piece]) -> Result<(), Failure> {
    /// Whoever answers neither is not meant.
    const QUESTIONS_MAX: usize = 10;
    for _question in 0..QUESTIONS_MAX {
        let _closed = write!(io::stderr(), "save it? [y]es, [s]how all of it first, [N]o ");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        match (read, answer.trim()) {
            (Ok(1..), "y" | "Y" | "yes") => return Ok(()),
            (Ok(1..), "s" | "S" | "show") => session.output.text(&all(pieces)),
            _ => break,
        }
    }
    Err(Failure::other("nothing was saved", Some("answer y, or give --yes")))
}

fn table(pieces: &[Piece]) -> String {
    let rows: Vec<Vec<String>> =
        pieces.iter().map(|piece| vec![piece.name.clone(), size(piece.text.len() as i64)]).collect();
    crate::output::columns(&["file", "size"], &rows)
}

fn all(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| format!("=== {}\n{}\n", piece.name, piece.text)).collect()
}

fn summary(file: &str, bytes: u64, pieces: &[Piece]) -> Value {
    let pieces: Vec<Value> =
        pieces.iter().map(|piece| json!({ "name": piece.name, "bytes": piece.text.len() })).collect();
    json!({ "file": file, "bytes": bytes, "files": pieces })
}
