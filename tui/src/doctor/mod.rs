//! `picloud doctor`: what is wrong with the machine it runs on and with the appliance it can reach, each with its cure.
//!
//! To add a check: a file in `checks/` with a `CHECK`, its `mod` line there, a line in [`CHECKS`], a row in docs/doctor.md,
//! and a machine in `machines/` that has what it finds.

mod asked;
mod block;
mod case;
mod checks;
mod finding;
mod machine;
mod run;
mod shown;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use asked::ask;
pub(crate) use case::Case;
pub(crate) use checks::CHECKS;
pub(crate) use finding::{Finding, State};
pub(crate) use machine::{Machine, NotRun, Real};
pub(crate) use run::{Told, run};
pub(crate) use shown::{Report, text};

use std::time::Duration;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The machine this runs on: not looked at where an appliance elsewhere is asked.
    Machine,
    /// What the appliance answers, from wherever it is asked.
    Appliance,
}

/// One thing that is looked at.
pub(crate) struct Check {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it looks at, in a few words.
    pub(crate) title: &'static str,
    /// Whose it is.
    pub(crate) about: About,
    /// How long it may take.
    pub(crate) time_max: Duration,
    /// Whether nothing else may run beside it.
    pub(crate) is_alone: bool,
    /// Looks.
    pub(crate) look: fn(&Case) -> Finding,
}

impl Check {
    /// What most checks are: short, of the machine, beside others.
    const PLAIN: Self = Self {
        name: "",
        title: "",
        about: About::Machine,
        time_max: Duration::from_secs(20),
        is_alone: false,
        look: |_case| Finding::unknown("nothing is looked at"),
    };
}
