//! Which triggers of an app take what happened.

use picloud_model::event::EventKind;
use picloud_model::ids::{ScriptId, TriggerId};
use picloud_model::publish::topic_matches;
use picloud_model::trigger::{Op, TriggerKind, TriggerSpec};
use std::collections::HashMap;
use std::sync::Arc;

/// What happened, as far as triggers choose by it before anything is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happened<'a> {
    /// A key changed.
    Kv { op: Op, collection: &'a str, key: &'a str },
    /// A file changed.
    Files { op: Op, collection: &'a str, name: &'a str },
    /// Something was published.
    Pubsub { topic: &'a str },
    /// A delivery was given up, of this trigger if of any.
    DeadLetter { trigger: Option<&'a str> },
}

impl Happened<'_> {
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::Kv { .. } => EventKind::Kv,
            Self::Files { .. } => EventKind::Files,
            Self::Pubsub { .. } => EventKind::Pubsub,
            Self::DeadLetter { .. } => EventKind::DeadLetter,
        }
    }
}

/// A trigger as far as making its deliveries needs it.
#[derive(Debug)]
pub(crate) struct KnownTrigger {
    pub(crate) id: TriggerId,
    /// The endpoint it starts.
    pub(crate) script: ScriptId,
    pub(crate) spec: TriggerSpec,
}

impl KnownTrigger {
    /// Whether it chooses or orders by what is in the event.
    pub(crate) fn reads_body(&self) -> bool {
        !self.spec.matches.is_empty() || self.spec.ordering_key.is_some()
    }

    fn takes(&self, happened: &Happened<'_>) -> bool {
        let spec = &self.spec;
        let begins = |text: &str| spec.prefix.as_deref().is_none_or(|prefix| text.starts_with(prefix));
        match *happened {
            Happened::Kv { op, key, .. } => (spec.ops.is_empty() || spec.ops.contains(&op)) && begins(key),
            Happened::Files { op, name, .. } => (spec.ops.is_empty() || spec.ops.contains(&op)) && begins(name),
            Happened::Pubsub { topic } => spec.topic.as_deref().is_some_and(|pattern| topic_matches(pattern, topic)),
            Happened::DeadLetter { trigger } => spec.trigger.is_none() || spec.trigger.as_deref() == trigger,
        }
    }
}

/// The triggers of one app, by what they listen to. Schedules are not here: nothing that happens starts them.
#[derive(Debug, Default)]
pub(crate) struct AppTriggers {
    kv: HashMap<String, Vec<Arc<KnownTrigger>>>,
    files: HashMap<String, Vec<Arc<KnownTrigger>>>,
    pubsub: Vec<Arc<KnownTrigger>>,
    dead_letter: Vec<Arc<KnownTrigger>>,
}

impl AppTriggers {
    /// Adds the next one, in their order.
    pub(crate) fn add(&mut self, trigger: Arc<KnownTrigger>) {
        let collection = trigger.spec.collection.clone().unwrap_or_default();
        match trigger.spec.kind {
            TriggerKind::Kv => self.kv.entry(collection).or_default().push(trigger),
            TriggerKind::Files => self.files.entry(collection).or_default().push(trigger),
            TriggerKind::Pubsub => self.pubsub.push(trigger),
            TriggerKind::DeadLetter => self.dead_letter.push(trigger),
            TriggerKind::Cron => {}
        }
    }

    /// Whether anything listens to keys of the collection.
    pub(crate) fn listen_to_keys_of(&self, collection: &str) -> bool {
        self.kv.contains_key(collection)
    }

    /// Those that take what happened, so far as can be told without its body.
    pub(crate) fn choose<'a>(&'a self, happened: &'a Happened<'a>) -> impl Iterator<Item = &'a Arc<KnownTrigger>> {
        let some = match happened {
            Happened::Kv { collection, .. } => self.kv.get(*collection).map_or(&[][..], Vec::as_slice),
            Happened::Files { collection, .. } => self.files.get(*collection).map_or(&[][..], Vec::as_slice),
            Happened::Pubsub { .. } => &self.pubsub,
            Happened::DeadLetter { .. } => &self.dead_letter,
        };
        some.iter().filter(move |trigger| trigger.takes(happened))
    }
}
