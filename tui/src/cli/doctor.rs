//! `picloud doctor`: what is wrong with this machine and its appliance, and what to do about it.

use super::Session;
use crate::doctor::{self, CHECKS, Case, Real, Report, State, Told};
use crate::failure::Failure;
use crate::place::Place;
use clap::Args;
use clap::builder::PossibleValuesParser;
use picloud_model::clock::{Clock, SystemClock};
use serde_json::to_value;

/// Look for what is wrong with this machine and its appliance, each with its cure
///
/// Power, heat, the card, disk, clock, names, ports, services, certificates, backup, versions, and more. The speed of
/// the card is measured with 16 MiB in the data folder; nothing else is written. With --url it tells what the
/// appliance there answers; what concerns its machine is seen on that machine only.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit code: 0 where nothing has failed, also with warnings; 1 where something has; 5 where no appliance answers at --url

Examples:
  picloud doctor
  sudo picloud doctor power card-speed ports    only these, as root, who sees more
  picloud doctor --json | jq '.checks[] | select(.state == \"failed\")'")]
pub(crate) struct Doctor {
    /// Only these checks [default: all]
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(CHECKS.iter().map(|check| check.name)))]
    checks: Vec<String>,
    /// Write nothing to measure the speed of the card
    #[arg(long)]
    no_card_test: bool,
}

impl Doctor {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let (place, is_here, told) = session.examine(self.checks, !self.no_card_test).await?;
        let report = Report::of(&told, &place, is_here);
        if session.output.json {
            session.output.value(&to_value(&report).expect("a report has names as keys"));
        } else {
            session.output.text(&doctor::text(&told, session.output));
        }
        if !is_here {
            let host =
                place.split("://").nth(1).and_then(|rest| rest.rsplit_once(':')).map_or("HOST", |(host, _port)| host);
            session.output.note(&format!(
                "this is what {place} tells; its power, card, clock and the rest of the machine: ssh {host} picloud doctor"
            ));
        }
        match report.counts.get(State::Failed.as_str()) {
            None => Ok(()),
            Some(1) => Err(Failure::other("one check failed", Some("its cure stands below it, behind →"))),
            Some(failed) => {
                Err(Failure::other(format!("{failed} checks failed"), Some("their cures stand below them, behind →")))
            }
        }
    }
}

impl Session<'_> {
    /// Looks at this machine and at the appliance: who was asked, whether that is here, and what was found.
    pub(super) async fn examine(
        &self,
        checks: Vec<String>,
        may_write: bool,
    ) -> Result<(String, bool, Vec<Told>), Failure> {
        let asked = doctor::ask(&self.client, self.settings, &SystemClock).await;
        let (place, is_here) = (asked.place.clone(), asked.is_here);
        if let (Place::Url(_), Err(silence)) = (&self.settings.place, &asked.status)
            && !is_here
        {
            return Err(silence.failure());
        }
        let case = Case::new(Box::new(Real::below("/")), asked, SystemClock.now_ms(), may_write);
        let (sender, mut told) = tokio::sync::mpsc::channel(1);
        let (news, mut under_way) = tokio::sync::mpsc::channel(CHECKS.len());
        std::thread::spawn(move || {
            // What is not shown in time is not worth waiting for.
            let found = doctor::run(case, &checks, &|names| drop(news.try_send(under_way_text(names))));
            let _ended = sender.blocking_send(found);
        });
        loop {
            tokio::select! {
                Some(names) = under_way.recv() => {
                    self.output.waiting_over();
                    self.output.waiting(&format!("looking at: {names}"));
                }
                found = told.recv() => {
                    self.output.waiting_over();
                    let came_to_grief = || Failure::other("the checks came to grief, which they must not", Some("please report it"));
                    return Ok((place, is_here, found.ok_or_else(came_to_grief)?));
                }
            }
        }
    }
}

/// What is under way, on a line that fits every terminal.
fn under_way_text(names: &[&str]) -> String {
    const NAMES_MAX: usize = 3;
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(NAMES_MAX) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}
