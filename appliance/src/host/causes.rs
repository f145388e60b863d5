//! On whose behalf a worker's call comes: what its writes, and the events they make, are traced back to.

use super::StoreHost;
use picloud_model::event::{Cause, Hop};
use picloud_model::ids::{AsyncRequestId, ExecutionId};
use picloud_model::protocol::{AppSnapshot, Caller};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The chain of what no run caused.
static NO_CHAIN: LazyLock<Arc<[Hop]>> = LazyLock::new(|| Arc::new([]));

/// Where a run that this appliance started comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The runs before it.
    pub chain: Vec<Hop>,
    /// What started it: `trigger on-widget`.
    pub cause: String,
    /// The request that is answered later, if it is for one.
    pub request: Option<AsyncRequestId>,
}

/// The runs under way that this appliance started; as many as the dispatcher has slots. Cheap to clone.
#[derive(Clone, Default)]
pub struct Causes(Arc<Mutex<HashMap<ExecutionId, Arc<Origin>>>>);

impl Causes {
    /// Remembers where a run comes from until the answer is dropped.
    pub fn begin(&self, run: ExecutionId, origin: Origin) -> UnderWay {
        self.lock().insert(run, Arc::new(origin));
        UnderWay { causes: self.clone(), run }
    }

    /// Where a run comes from, if this appliance started it.
    pub fn of(&self, run: ExecutionId) -> Option<Arc<Origin>> {
        self.lock().get(&run).cloned()
    }

    /// Whether a run for this request is under way. They are few.
    pub fn is_for(&self, request: AsyncRequestId) -> bool {
        self.lock().values().any(|origin| origin.request == Some(request))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Origin>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is remembered.
pub struct UnderWay {
    causes: Causes,
    run: ExecutionId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.causes.lock().remove(&self.run);
    }
}

impl StoreHost {
    /// The cause of what `caller` writes now.
    pub(super) fn cause(&self, app: &AppSnapshot, caller: &Caller) -> Cause {
        Cause {
            at: self.clock.now_ms(),
            root_id: caller.root_execution_id,
            depth: caller.trigger_depth,
            depth_max: u32::try_from(app.limits.trigger_depth).unwrap_or(u32::MAX),
            queued_max: app.limits.queued_deliveries,
            chain: self.chain(caller),
        }
    }

    /// The runs from the first to the one that writes.
    fn chain(&self, caller: &Caller) -> Arc<[Hop]> {
        if caller.execution_id.0.is_nil() {
            return Arc::clone(&NO_CHAIN);
        }
        let origin = self.causes.of(caller.execution_id);
        let (before, cause) = match &origin {
            Some(origin) => (origin.chain.as_slice(), origin.cause.as_str()),
            None => (&[][..], "request"),
        };
        let hop = Hop {
            execution_id: caller.execution_id,
            script: caller.script.as_ref().to_owned(),
            version: caller.version,
            cause: cause.to_owned(),
        };
        before.iter().cloned().chain([hop]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_while_it_is_under_way() {
        let causes = Causes::default();
        let run = ExecutionId::new();
        let request = AsyncRequestId::new();
        let origin = Origin { chain: Vec::new(), cause: "trigger a".to_owned(), request: Some(request) };
        let under_way = causes.begin(run, origin);
        assert!(causes.is_for(request) && !causes.is_for(AsyncRequestId::new()));
        assert_eq!(causes.of(run).unwrap().cause, "trigger a");
        assert!(causes.of(ExecutionId::new()).is_none());
        drop(under_way);
        assert!(causes.of(run).is_none() && !causes.is_for(request));
    }
}
