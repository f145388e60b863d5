//! The traits of what happens: triggers, events, their deliveries, and those that are dead.

use crate::Result;
#[expect(unused_imports, reason = "documentation names it")]
use crate::StoreError;
use async_trait::async_trait;
use picloud_model::async_request::{Accepted, AsyncState, NewAsyncRequest};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail, DeadLetterQuery, LettersKept, RetryInput};
use picloud_model::delivery::{Delivery, DeliveryEnd, Ended};
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId, DeadLetterId, DeliveryId, EventId, TimerId, TriggerId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::publish::{Publish, Published};
use picloud_model::timer::{NewTimer, Timer};
use picloud_model::trigger::{Trigger, TriggerSpec};

/// A trigger to be stored: checked, with the first time of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerWrite {
    /// What it says.
    pub spec: TriggerSpec,
    /// `cron`: when it starts next, if ever. Taken where the schedule or its time zone is new or changed.
    pub next_at: Option<UnixMs>,
}

/// Triggers. Their targets are endpoints of the same app, by a foreign key.
#[async_trait]
pub trait Triggers: Send + Sync {
    /// The app's triggers, in the order they were given.
    async fn triggers(&self, app: AppId, page: &PageRequest) -> Result<Page<Trigger>>;
    /// One of them.
    async fn trigger(&self, app: AppId, name: &str) -> Result<Option<Trigger>>;
    /// Makes it so; `expected` is the version it must be at, 0 for "must not exist". Makes no version where nothing
    /// changes. Counts the app's revision up. [`StoreError::Conflict`] where the script is no endpoint of the app.
    async fn put_trigger(
        &self,
        app: AppId,
        trigger: &TriggerWrite,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Trigger>;
    /// Removes it with what waits in its queue, whose number is in the audit entry. Answers whether it was there.
    async fn delete_trigger(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool>;
    /// Pauses it, or lets it go on (`None`), with its dead letters in a row forgotten. What happens meanwhile is queued.
    async fn pause_trigger(&self, app: AppId, name: &str, reason: Option<&str>, act: &Act) -> Result<Option<Trigger>>;
    /// Makes one delivery of a made-up event for it, also where it is paused: it runs. `body` is [`picloud_model::event::Event::body`]'s.
    async fn fire_trigger(&self, app: AppId, name: &str, body: &[u8], act: &Act) -> Result<Option<EventId>>;
}

/// What makes deliveries beside keys and files.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes: one delivery for each trigger whose topic matches, all or none on the disk when it returns.
    /// [`StoreError::Backlog`] where more would wait than the app's `queued_max`.
    async fn publish(&self, app: AppId, publish: Publish, cause: &Cause) -> Result<Published>;
    /// Sets a timer. [`StoreError::Conflict`] where the script is no endpoint of the app.
    async fn set_timer(&self, app: AppId, timer: NewTimer, cause: &Cause) -> Result<()>;
    /// Takes one back; answers whether it was there and had not fired.
    async fn cancel_timer(&self, app: AppId, timer: TimerId) -> Result<bool>;
    /// The app's timers that wait, soonest first.
    async fn timers(&self, app: AppId, page: &PageRequest) -> Result<Page<Timer>>;
    /// Keeps a request to be answered later and makes its delivery. `hash` tells whether a second one with the same
    /// idempotency key is the same request.
    async fn accept(&self, app: AppId, request: NewAsyncRequest, hash: ContentHash, cause: &Cause) -> Result<Accepted>;
    /// How far such a request is; `None` where there is none (any more).
    async fn async_state(&self, id: AsyncRequestId, now: UnixMs) -> Result<Option<AsyncState>>;
    /// Forgets up to `rows_max` dedup keys, and answers of requests, whose time is over; answers how many.
    async fn expire_events(&self, now: UnixMs, rows_max: u32) -> Result<u64>;
}

/// A schedule as the task that watches them needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The trigger.
    pub trigger: TriggerId,
    /// Its app.
    pub app: AppId,
    /// What it says.
    pub spec: TriggerSpec,
    /// When it is due.
    pub next_at: UnixMs,
}

/// What a schedule's time comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The time that was due: what [`Schedule::next_at`] was, so that one slot is one delivery whoever sees it.
    pub due_at: UnixMs,
    /// What to deliver: the times of which `ctx.event.scheduled_at` tells, each with how many were missed before it.
    pub deliver: Vec<(UnixMs, u32)>,
    /// When the schedule is due next, if ever.
    pub next_at: Option<UnixMs>,
}

/// What came of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotEnded {
    /// Deliveries that were made.
    pub delivered: u32,
    /// Times that were left out since an earlier one is still under way (`overlap = "skip"`).
    pub skipped: u32,
}

/// What was claimed.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// To be run now. Nobody else gets them until they are told of.
    pub deliveries: Vec<Delivery>,
    /// When the next one is due, of those that nothing else holds up: a time in the past means that there are more now.
    pub next_due: Option<UnixMs>,
}

/// Deliveries: from their claim to their end. With one appliance a claim lives in its memory and ends with it; with a
/// shared database it is a lease.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Claims up to `limit` that are due: fair between apps and triggers, in the order of their keys, not above any
    /// trigger's `concurrency`, none of a paused trigger. What is too old becomes a dead letter here.
    async fn claim_deliveries(&self, limit: u32, now: UnixMs) -> Result<Claimed>;
    /// Tells what became of a claimed one. An unknown one (its app or trigger is gone) is no error.
    async fn end_delivery(&self, id: DeliveryId, end: DeliveryEnd, now: UnixMs) -> Result<Ended>;
    /// Writes down that attempts of these have begun and take long, so that they count though the machine stops.
    async fn note_attempts(&self, ids: &[DeliveryId]) -> Result<()>;
    /// Changes after every commit that may let something be claimed sooner than [`Claimed::next_due`] said.
    fn delivery_signal(&self) -> tokio::sync::watch::Receiver<u64>;
    /// All schedules that are not paused, soonest first.
    async fn schedules(&self) -> Result<Vec<Schedule>>;
    /// Makes a slot's deliveries and moves the schedule on, in one transaction; does nothing (and answers `None`) where
    /// the schedule is not due at [`Slot::due_at`] any more.
    async fn end_slot(&self, trigger: TriggerId, slot: &Slot, now: UnixMs) -> Result<Option<SlotEnded>>;
    /// Changes after every commit that changed schedules.
    fn schedule_signal(&self) -> tokio::sync::watch::Receiver<u64>;
    /// How many deliveries of an app wait or are under way, and since when the oldest of them is due.
    async fn queued(&self, app: AppId) -> Result<Queued>;
}

/// The queue of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Deliveries that wait or are under way, timers included.
    pub deliveries: i64,
    /// Since when the oldest of them has been due, where any is.
    pub oldest_due_at: Option<UnixMs>,
    /// Dead letters.
    pub dead_letters: i64,
}

/// Dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The app's, newest first.
    async fn dead_letters(&self, app: AppId, query: &DeadLetterQuery) -> Result<Page<DeadLetter>>;
    /// One of them, whole.
    async fn dead_letter(&self, app: AppId, id: DeadLetterId) -> Result<Option<DeadLetterDetail>>;
    /// Makes a delivery of it again, with its attempts counted from 1; the letter is gone. Answers the event's id.
    /// [`StoreError::Conflict`] where its script or the version is gone.
    async fn retry_dead_letter(
        &self,
        app: AppId,
        id: DeadLetterId,
        how: &RetryInput,
        act: &Act,
    ) -> Result<Option<EventId>>;
    /// The same for up to `letters_max`, oldest first, of one trigger or all; answers how many. Those whose script is
    /// gone stay.
    async fn retry_dead_letters(&self, app: AppId, trigger: Option<&str>, letters_max: u32, act: &Act) -> Result<u64>;
    /// Removes one for good. Answers whether it was there.
    async fn discard_dead_letter(&self, app: AppId, id: DeadLetterId, act: &Act) -> Result<bool>;
    /// Removes up to `letters_max` that `kept` does not keep, each app's number in an audit entry of `act`; answers how
    /// many.
    async fn expire_dead_letters(&self, kept: &LettersKept, letters_max: u32, act: &Act) -> Result<u64>;
}
