//! `picloud completions`: what a shell needs to complete commands and flags.

use super::Cli;
use crate::output::Output;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print what a shell needs to complete commands and flags
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud completions bash > ~/.local/share/bash-completion/completions/picloud")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Does it.
    pub(super) fn run(self, output: &Output) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "picloud", &mut script);
        output.bytes(&script);
    }
}
