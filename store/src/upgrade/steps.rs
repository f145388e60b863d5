//! The steps of an upgrade and of the way back, for those who stop between any two of them and look what is left.

use crate::OpenError;
use std::ops::ControlFlow;
use std::path::Path;

/// What was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// There is a folder for the copy.
    Begun,
    /// Both files are copied and compared.
    Copied,
    /// The copy says what it is.
    Described,
    /// It has its name.
    Named,
    /// Older copies are gone.
    Expired,
    /// The data has the new schema.
    DataMigrated,
    /// The history has it, too.
    HistoryMigrated,
    /// It is written down that somebody goes back.
    Noted,
    /// A file of the newer store was put aside.
    PutAside,
    /// A file of the copy was put in its place.
    PutBack,
    /// The copy's folder, which is empty now, is gone.
    Emptied,
}

#[cfg(test)]
impl Step {
    /// Those of an upgrade, in their order.
    pub(crate) const UPGRADE: [Self; 7] = [
        Self::Begun,
        Self::Copied,
        Self::Described,
        Self::Named,
        Self::Expired,
        Self::DataMigrated,
        Self::HistoryMigrated,
    ];
}

/// Who sees each step. To break there leaves everything as it is then, as a pulled plug would.
pub(crate) type Stop<'a> = &'a (dyn Fn(Step) -> ControlFlow<()> + Sync);

/// Nobody stops it.
pub(crate) fn go_on(_step: Step) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Tells `stop` of a step.
pub(crate) fn done(stop: Stop<'_>, step: Step, at: &Path) -> Result<(), OpenError> {
    match stop(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let source = format!("it was stopped after {step:?}").into();
            Err(OpenError::Unusable { path: at.to_owned(), source })
        }
    }
}
