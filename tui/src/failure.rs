//! Why a command failed, and the exit code that says so to scripts.

use picloud_model::problem::{Code, Problem};
use picloud_model::script::Diagnostic;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line cannot be meant.
    Usage { message: String, hint: String },
    /// No appliance answers.
    Unreachable { message: String, hint: String },
    /// This person may not even ask.
    Refused { message: String, hint: String },
    /// The appliance answered with a problem.
    Answered(Box<Problem>),
    /// A folder or file is not what it should be; all that is wrong with it.
    Broken { message: String, found: Vec<Diagnostic> },
    /// Everything else.
    Other { message: String, hint: Option<String> },
}

impl Failure {
    /// A command line that cannot be meant.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Anything without a kind of its own.
    pub(crate) fn other(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self::Other { message: message.into(), hint: hint.map(str::to_owned) }
    }

    /// 1 failed, 2 usage, 3 not found, 4 refused, 5 unreachable.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Unreachable { .. } => 5,
            Self::Refused { .. } => 4,
            Self::Answered(problem) => match problem.status {
                404 => 3,
                401 | 403 | 409 | 412 => 4,
                _ => 1,
            },
            Self::Broken { .. } | Self::Other { .. } => 1,
        }
    }

    /// The same as a problem, for `--json`.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Answered(problem) => (**problem).clone(),
            Self::Usage { message, hint } => Problem::new(Code::Malformed, message).hint(hint),
            Self::Unreachable { message, hint } => Problem::new(Code::NodeAway, message).hint(hint),
            Self::Refused { message, hint } => Problem::new(Code::Forbidden, message).hint(hint),
            Self::Broken { message, found } => Problem::new(Code::Invalid, message).errors(found.clone()),
            Self::Other { message, hint } => {
                let problem = Problem::new(Code::Internal, message);
                match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                }
            }
        }
    }

    /// What was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answered(problem) if problem.status == 404)
    }
}
