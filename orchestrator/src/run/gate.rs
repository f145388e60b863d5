//! The gate: so many runs at once and no more. Past it a request waits a moment, then gets 503.
//!
//! The wait is there because most runs take microseconds: a burst of clients is no overload. Both the wait and the
//! number of those who wait are bounded, and the `Retry-After` comes from how long runs took lately.
//!
//! A run that waits for its parent does not count, so that writes of many runs meet in one commit of the store; but
//! the runs under way, waiting or not, are bounded too ([`UNDER_WAY_PER_RUN`]). A run that comes back from a wait
//! never waits for its place: it takes one that the next run to end does not give back.
//!
//! Deliveries and requests that nobody waits for have a part of the places ([`for_deliveries`]) and no more, so that a
//! full queue never keeps a client waiting; among those places they wait in line with the requests.

use crate::inflight::{InFlight, LostRun};
use crate::parking::{Client, Parking};
use picloud_model::protocol::RunsNow;
use picloud_model::{Code, Problem};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// Runs under way, waiting or not, for each that may run. The more wait at once, the more writes share a commit: 8 000
/// queued events on two cores took 29 % less CPU and 20 % fewer bytes each with 4 than with 2.
pub const UNDER_WAY_PER_RUN: usize = 4;
/// Longest wait for a run to end before a request gets 503.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// Requests that wait, for each run that goes on.
const WAITING_PER_RUN: usize = 32;
/// Longest `Retry-After`.
const RETRY_AFTER_S_MAX: u64 = 60;

/// How many of `places` deliveries may take: three of four, and always one.
pub fn for_deliveries(places: usize) -> usize {
    (places * 3 / 4).max(1)
}

/// How many deliveries may be under way at once in a worker of this `concurrency`.
pub fn deliveries_under_way_max(concurrency: u32) -> usize {
    for_deliveries(concurrency as usize * UNDER_WAY_PER_RUN)
}

/// Lets runs in.
pub struct Gate {
    all: Places,
    /// Of `all`, those that deliveries may take.
    deliveries: Places,
    concurrency: usize,
    /// Requests that wait.
    waiting: AtomicUsize,
    deliveries_waiting: AtomicUsize,
    /// Free slots of the in-flight file.
    slots: Mutex<Vec<usize>>,
    in_flight: InFlight,
    /// Where the clients of named runs are kept for the parent, by slot.
    parking: Parking,
    /// How long runs took lately, a moving mean in microseconds.
    mean_us: AtomicU64,
}

/// Places for runs.
struct Places {
    /// Among those that run.
    running: Semaphore,
    /// Places of `running` taken by runs that came back from a wait when none was free.
    owed: AtomicUsize,
    /// Among those under way.
    under_way: Semaphore,
}

impl Places {
    fn new(running: usize, under_way: usize) -> Self {
        Self { running: Semaphore::new(running), owed: AtomicUsize::new(0), under_way: Semaphore::new(under_way) }
    }

    /// One of each, if both are free.
    fn try_both(&self) -> Option<Both<'_>> {
        Some(Both(self.under_way.try_acquire().ok()?, self.running.try_acquire().ok()?))
    }

    /// One of each. Both in this order everywhere: whoever holds a place under way waits only for runs, which end.
    async fn both(&self) -> Result<Both<'_>, AcquireError> {
        Ok(Both(self.under_way.acquire().await?, self.running.acquire().await?))
    }

    fn stop_running(&self) {
        let pay = |owed: usize| owed.checked_sub(1);
        if self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_err() {
            self.running.add_permits(1);
        }
    }

    fn run_again(&self) {
        match self.running.try_acquire() {
            Ok(running) => running.forget(),
            Err(_full) => drop(self.owed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// A place under way and one among those that run; given back when dropped.
struct Both<'p>(SemaphorePermit<'p>, SemaphorePermit<'p>);

impl Both<'_> {
    /// They are the permit's from now on.
    fn keep(self) {
        self.0.forget();
        self.1.forget();
    }
}

/// The right to run, and the slot the run is named in. Ends with the run, not with the request that asked for it.
pub struct Permit {
    gate: Arc<Gate>,
    /// Whether it holds places of deliveries as well.
    of_delivery: bool,
    slot: usize,
    announced: AtomicBool,
    parked: AtomicBool,
    /// Whether it holds a place among those that run.
    runs: AtomicBool,
}

impl Gate {
    /// A gate for `concurrency` runs at once, and as many under way as `in_flight` has slots.
    pub fn new(concurrency: usize, in_flight: InFlight, parking: Parking) -> Arc<Self> {
        let slots = in_flight.slots();
        Arc::new(Self {
            all: Places::new(concurrency, slots),
            deliveries: Places::new(for_deliveries(concurrency), for_deliveries(slots)),
            concurrency,
            waiting: AtomicUsize::new(0),
            deliveries_waiting: AtomicUsize::new(0),
            // The first slots are taken first: those have places in the parking.
            slots: Mutex::new((0..slots).rev().collect()),
            in_flight,
            parking,
            mean_us: AtomicU64::new(0),
        })
    }

    /// Runs that may be under way at once.
    pub fn under_way_max(&self) -> usize {
        self.in_flight.slots()
    }

    /// The runs of this moment.
    pub fn now(&self) -> RunsNow {
        let in_flight = self.in_flight.slots().saturating_sub(self.all.under_way.available_permits());
        RunsNow { in_flight: in_flight as u64, waiting: self.waiting.load(Ordering::Relaxed) as u64 }
    }

    /// A permit for a request, now or within a moment; else 503.
    pub async fn enter(self: &Arc<Self>) -> Result<Permit, Problem> {
        if let Some(both) = self.all.try_both() {
            both.keep();
            return Ok(self.permit(false));
        }
        let place = self.wait_in(&self.waiting, self.concurrency)?;
        let acquired = tokio::time::timeout(WAIT_MAX, self.all.both()).await;
        drop(place);
        match acquired {
            Ok(Ok(both)) => both.keep(),
            Ok(Err(_)) | Err(_) => return Err(self.overloaded()),
        }
        Ok(self.permit(false))
    }

    /// A permit for a run that no client waits for, now or within a moment; else it is to be tried later.
    pub async fn enter_delivery(self: &Arc<Self>) -> Result<Permit, Problem> {
        let of_deliveries = self.deliveries.try_both();
        if let Some(of_deliveries) = of_deliveries
            && let Some(of_all) = self.all.try_both()
        {
            of_deliveries.keep();
            of_all.keep();
            return Ok(self.permit(true));
        }
        let place = self.wait_in(&self.deliveries_waiting, for_deliveries(self.concurrency))?;
        let places = async {
            let of_deliveries = self.deliveries.both().await?;
            Ok::<_, AcquireError>((of_deliveries, self.all.both().await?))
        };
        let acquired = tokio::time::timeout(WAIT_MAX, places).await;
        drop(place);
        match acquired {
            Ok(Ok((of_deliveries, of_all))) => {
                of_deliveries.keep();
                of_all.keep();
            }
            Ok(Err(_)) | Err(_) => return Err(self.overloaded()),
        }
        Ok(self.permit(true))
    }

    /// A place among those who wait, unless there are too many for the `runs` they wait for.
    fn wait_in<'g>(&self, waiting: &'g AtomicUsize, runs: usize) -> Result<Place<'g>, Problem> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= runs * WAITING_PER_RUN {
            return Err(self.overloaded());
        }
        Ok(place)
    }

    /// Tells how long a run took, for `Retry-After`.
    pub fn took(&self, duration_us: u64) {
        // A lost update under contention costs one sample of a mean.
        let mean = self.mean_us.load(Ordering::Relaxed);
        self.mean_us.store(mean - mean / 16 + duration_us / 16, Ordering::Relaxed);
    }

    fn permit(self: &Arc<Self>, of_delivery: bool) -> Permit {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let slot = slot.expect("there is a slot for every run under way");
        let (announced, parked, runs) = (false.into(), false.into(), true.into());
        Permit { gate: Arc::clone(self), of_delivery, slot, announced, parked, runs }
    }

    fn overloaded(&self) -> Problem {
        let ahead = (self.waiting.load(Ordering::Relaxed) + self.concurrency) as u64;
        let us = self.mean_us.load(Ordering::Relaxed).saturating_mul(ahead) / self.concurrency.max(1) as u64;
        let seconds = us.div_ceil(1_000_000).clamp(1, RETRY_AFTER_S_MAX);
        let concurrency = self.concurrency as u64;
        let detail = format!("this node runs {concurrency} scripts at once (`concurrency`) and all are busy");
        Problem::new(Code::Overloaded, detail)
            .hint(format!("try again in {seconds} s, or raise `concurrency` in the appliance's settings"))
            .limit("concurrency", concurrency)
            .retry_after_s(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// A place among those who wait.
struct Place<'g>(&'g AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Permit {
    /// Names the run to the parent, and leaves it the client to answer, should this process die under it.
    pub fn announce(&self, run: &LostRun, client: Option<&Client>) {
        if self.announced.swap(true, Ordering::Relaxed) {
            return;
        }
        self.gate.in_flight.write(self.slot, run);
        if let Some(client) = client {
            let parked = self.gate.parking.park(self.slot, run.execution_id, client);
            self.parked.store(parked, Ordering::Relaxed);
        }
    }

    /// Takes back what was announced: the run is over, and its answer is not the parent's any more.
    pub fn withdraw(&self) {
        if self.parked.swap(false, Ordering::Relaxed) {
            self.gate.parking.take_away(self.slot);
        }
        if self.announced.swap(false, Ordering::Relaxed) {
            self.gate.in_flight.clear(self.slot);
        }
    }

    /// Does `wait`, which uses no processor, without counting as a run meanwhile.
    pub fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        if self.runs.swap(false, Ordering::Relaxed) {
            self.places().for_each(Places::stop_running);
        }
        let result = wait();
        if !self.runs.swap(true, Ordering::Relaxed) {
            self.places().for_each(Places::run_again);
        }
        result
    }

    fn places(&self) -> impl Iterator<Item = &Places> {
        [&self.gate.all].into_iter().chain(self.of_delivery.then_some(&self.gate.deliveries))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.withdraw();
        self.gate.slots.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
        let runs = *self.runs.get_mut();
        for places in self.places() {
            places.under_way.add_permits(1);
            if runs {
                places.stop_running();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::{AppId, ExecutionId};

    fn gate(concurrency: usize) -> Arc<Gate> {
        Gate::new(concurrency, InFlight::create(concurrency * UNDER_WAY_PER_RUN).unwrap(), Parking::default())
    }

    #[tokio::test]
    async fn past_the_gate_a_request_waits_a_moment_and_then_gets_503_with_a_retry_after_that_follows_the_runs() {
        let gate = gate(2);
        let _one = gate.enter().await.unwrap();
        let two = gate.enter().await.unwrap();
        (0..200).for_each(|_| gate.took(9_000_000));
        let refused = gate.enter().await.err().unwrap();
        assert_eq!((refused.status, refused.code), (503, Code::Overloaded));
        assert!((9..=14).contains(&refused.retry_after_s.unwrap()), "{refused:?}");
        let waits = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(two);
        assert!(waits.await.unwrap(), "a permit that comes back within the moment is used");
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let gate = gate(1);
        let _one = gate.enter().await.unwrap();
        let refused = futures_util::future::join_all((0..WAITING_PER_RUN + 8).map(|_| async {
            let began = tokio::time::Instant::now();
            assert!(gate.enter().await.is_err());
            began.elapsed() < WAIT_MAX
        }));
        assert_eq!(refused.await.into_iter().filter(|at_once| *at_once).count(), 8);
    }

    #[tokio::test]
    async fn a_run_that_waits_lets_another_in_and_none_is_over_counted_after() {
        let gate = gate(1);
        let one = gate.enter().await.unwrap();
        let two = one.while_waiting(|| {
            gate.all.try_both().unwrap().keep();
            let others = gate.all.under_way.try_acquire_many(UNDER_WAY_PER_RUN as u32 - 2);
            assert!(others.is_ok() && gate.all.under_way.try_acquire().is_err(), "so many are all there may be");
            gate.permit(false)
        });
        let (owed, running) = (&gate.all.owed, &gate.all.running);
        assert_eq!(owed.load(Ordering::Relaxed), 1, "both run for a moment");
        drop(two);
        assert_eq!((owed.load(Ordering::Relaxed), running.available_permits()), (0, 0));
        drop(one);
        assert_eq!((running.available_permits(), gate.all.under_way.available_permits()), (1, UNDER_WAY_PER_RUN));
    }

    #[tokio::test]
    async fn deliveries_leave_requests_a_place_and_give_all_theirs_back() {
        let gate = gate(4);
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            deliveries.push(gate.enter_delivery().await.unwrap());
        }
        assert_eq!(gate.enter_delivery().await.err().unwrap().code, Code::Overloaded);
        let request = gate.enter().await.unwrap();
        // One that waits for its parent lets another one in, of each kind.
        let other = deliveries[0].while_waiting(|| {
            let places = gate.deliveries.try_both().unwrap();
            places.keep();
            gate.all.try_both().unwrap().keep();
            gate.permit(true)
        });
        let owed = || [&gate.all, &gate.deliveries].map(|places| places.owed.load(Ordering::Relaxed));
        assert_eq!(owed(), [1, 1]);
        drop((deliveries, other, request));
        let free = |places: &Places| (places.running.available_permits(), places.under_way.available_permits());
        assert_eq!((owed(), free(&gate.all), free(&gate.deliveries)), ([0, 0], (4, 16), (3, 12)));
        let small = super::tests::gate(1);
        let _request = small.enter().await.unwrap();
        assert!(small.enter_delivery().await.is_err());
        assert_eq!(
            free(&small.deliveries),
            (1, for_deliveries(UNDER_WAY_PER_RUN)),
            "what was taken while it waited is given back"
        );
    }

    #[tokio::test]
    async fn a_run_is_named_from_its_announcement_to_its_end() {
        let gate = gate(1);
        let permit = gate.enter().await.unwrap();
        let run = LostRun {
            app: AppId(1),
            script: "s".to_owned(),
            version: 1,
            execution_id: ExecutionId::new(),
            cause: "GET /".to_owned(),
            started_at: 0,
            root_execution_id: ExecutionId::new(),
            trigger_depth: 0,
            trigger: String::new(),
            attempt: 0,
        };
        permit.announce(&run, None);
        assert_eq!(gate.in_flight.read(), [run]);
        drop(permit);
        assert!(gate.in_flight.read().is_empty());
        assert!(gate.enter().await.is_ok(), "the slot is free again");
    }
}
