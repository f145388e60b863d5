//! The run that this thread works on, for the ports: they know a call, and the gate wants to know when it waits.

use super::record::RunRecord;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static CURRENT: RefCell<Option<Arc<RunRecord>>> = const { RefCell::new(None) };
}

/// Does `work` as the work of `run`. Runs do not nest on a thread: `scripts::call` is part of its caller.
pub(super) fn during<T>(run: &Arc<RunRecord>, work: impl FnOnce() -> T) -> T {
    /// Also when the work panics.
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            CURRENT.take();
        }
    }
    CURRENT.replace(Some(Arc::clone(run)));
    let _over = Over;
    work()
}

/// Does `wait` without counting the thread's run as running meanwhile.
pub(crate) fn while_waiting<T>(wait: impl FnOnce() -> T) -> T {
    match CURRENT.with_borrow(Clone::clone) {
        Some(run) => run.permit.while_waiting(wait),
        None => wait(),
    }
}
