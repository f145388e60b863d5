//! The terminal, and everything else outside: carries out what [`crate::app`] wants done, and tells it what happened.

mod asking;
mod away;
mod called;
mod caps;
mod carrying;
mod clock;
mod copying;
mod decode;
mod exporting;
mod folders;
mod following;
mod input;
mod keeping;
mod outside;
mod pace;
mod paint;
mod run;
mod scroll;
mod signals;
mod transfer;
mod travel;
mod tty;

pub(crate) use called::{Called, leads_session};
#[cfg(test)]
pub(crate) use paint::bytes_between;

use crate::app::{App, Facts};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::path::ApiPath;
use crate::place::Place;
use crate::settings::{Settings, Surroundings};
use crate::theme::ThemeName;
use clap::{Args, ValueEnum};
use keeping::Keeper;
use run::Session;
use std::io::{self, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// How long tasks that read or write files may take to notice that the program ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(50);

/// Flags of the terminal UI, which no command takes.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// The terminal UI changes nothing, whatever the key may do
    #[arg(long, help_heading = "Terminal UI (without a command)")]
    read_only: bool,
    /// The terminal UI shows nothing but ASCII
    #[arg(long, help_heading = "Terminal UI (without a command)")]
    ascii: bool,
    /// The colours of the terminal UI [default: what was chosen last, else the terminal's own]
    #[arg(long, value_name = "NAME", help_heading = "Terminal UI (without a command)")]
    theme: Option<Theme>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Theme {
    Terminal,
    Dark,
    Light,
    Contrast,
}

impl From<Theme> for ThemeName {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::Terminal => Self::Terminal,
            Theme::Dark => Self::Dark,
            Theme::Light => Self::Light,
            Theme::Contrast => Self::Contrast,
        }
    }
}

impl Flags {
    /// Refuses them beside a command, which would not heed them.
    pub(crate) fn check_alone(&self) -> Result<(), Failure> {
        let given = [(self.read_only, "--read-only"), (self.ascii, "--ascii"), (self.theme.is_some(), "--theme")];
        match given.iter().find(|(is_given, _)| *is_given) {
            None => Ok(()),
            Some((_, flag)) => Err(Failure::usage(
                format!("{flag} is a flag of the terminal UI, and commands do not heed it"),
                "leave it away, or leave the command away",
            )),
        }
    }
}

/// Refuses to begin where nobody looks.
pub(crate) fn check_terminal(wants_json: bool) -> Result<(), Failure> {
    if !wants_json && io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(
        "no command was given, and the terminal UI needs a terminal",
        "over ssh: `ssh -t HOST picloud`; for programs: `picloud status --json`, and see `picloud --help`",
    ))
}

/// Shows the terminal UI until the person leaves it.
pub(crate) fn run(
    settings: Settings,
    around: Surroundings,
    flags: &Flags,
    is_login_shell: bool,
    output: &Output,
) -> Result<(), Failure> {
    let (caps, dialect) = caps::of(&around, flags.ascii, is_login_shell)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime does not start: {error}"), None))?;
    // In the ordinary terminal, where a first meeting and a refusal are told as to every command.
    runtime.block_on(meet(&settings, output))?;
    let keeper = Keeper::begin(&around, &settings);
    let kept = keeper.read();
    let facts = Facts {
        caps,
        theme: flags.theme.map(ThemeName::from).or(kept.theme).unwrap_or_default(),
        appliance: appliance(&settings.place),
        is_read_only: flags.read_only,
        you: None,
        apps: None,
        drafts: kept.drafts,
        zone: jiff::tz::TimeZone::system(),
    };
    if kept.mouse && caps.points {
        tty::point(true).map_err(|error| failed(&error))?;
    }
    let size = tty::size();
    let app = App::new(facts, size);
    let entered = runtime.enter();
    let session = Session::new(app, Rc::new(settings), around, dialect, keeper, size);
    let mut session = session.map_err(|error| failed(&error))?;
    drop(entered);
    tty::restore_on_panic();
    let local = tokio::task::LocalSet::new();
    let ended = catch_unwind(AssertUnwindSafe(|| local.block_on(&runtime, session.run())));
    tty::restore();
    // Before anything else: what is not written down is lost with the line.
    session.keep_drafts();
    let unmade = session.unmade();
    drop(session);
    drop(local);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match ended {
        Err(panicked) => resume_unwind(panicked),
        Ok(Err(error)) => Err(failed(&error)),
        Ok(Ok(())) if unmade > 0 => Err(Failure::other(
            format!("{unmade} changes were not made, or it is not known whether they were"),
            Some("look before you make them again"),
        )),
        Ok(Ok(())) => Ok(()),
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::other(format!("the terminal failed: {error}"), None)
}

/// The first request. That nobody answers is no reason not to begin: the screen says so and tries again.
async fn meet(settings: &Settings, output: &Output) -> Result<(), Failure> {
    let path = ApiPath::new(&["whoami"]);
    match Client::new(settings, output).get::<serde_json::Value>(path).await {
        Err(Failure::Answered(problem)) if problem.status != 401 => Ok(()),
        Err(Failure::Unreachable { .. }) | Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// What the appliance is called: the machine one is on, or the URL.
fn appliance(place: &Place) -> String {
    match place {
        Place::Socket(_) => {
            let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            name.unwrap_or_else(|| "this machine".to_owned())
        }
        Place::Url(url) => url.to_string(),
    }
}
