//! Dry runs: the ports of one run that reads the world as it is and changes only what it sees of it itself.
//!
//! A read goes through to the real port, with what the run has written on top of it; a write stays here, is noted as an
//! [`Effect`], and is answered as the real port would have: conditions hold or do not, versions grow (from
//! [`FIRST_VERSION`], which no store has reached). What only the far side can know is answered with what is usual: nobody
//! had published with that key, the timer was there, the server answered 200 with nothing.

mod files;
mod kv;
mod merge;
mod others;

use crate::alloc::{self, Exempt};
use crate::services::Services;
use picloud_model::effect::{EFFECT_VALUE_BYTES_MAX, EFFECTS_MAX, Effect};
use picloud_model::ids::{FileId, TimerId};
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use picloud_model::redact::Redactor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Versions of what a dry run writes are above this, so that they are told from real ones and never equal to one.
const FIRST_VERSION: i64 = 1 << 52;
/// All that one dry run may keep of what it would have written, in bytes.
const OVERLAY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one dry run has seen and would have done.
pub struct Overlay {
    ports: Arc<Ports>,
}

/// The ports themselves, over `base`.
struct Ports {
    base: Services,
    written: Mutex<Written>,
}

/// What the run has written so far.
#[derive(Default)]
struct Written {
    effects: Vec<Effect>,
    /// Drawn so far.
    versions: i64,
    /// Of values and files, also of those that were written over.
    bytes: usize,
    /// By collection and key; `None` for one that was deleted.
    keys: BTreeMap<(String, String), Option<kv::Key>>,
    /// By collection and id; `None` for one that was deleted.
    files: BTreeMap<(String, FileId), Option<files::Stored>>,
    /// Topics with the keys they were published with.
    dedup_keys: BTreeSet<(String, String)>,
    timers: BTreeSet<TimerId>,
    /// What the run was told.
    secrets: Redactor,
    cancelled: BTreeSet<TimerId>,
}

impl Overlay {
    /// Nothing yet, over `base`.
    pub fn new(base: Services) -> Self {
        Self { ports: Arc::new(Ports { base, written: Mutex::default() }) }
    }

    /// The ports of the run.
    pub fn services(&self) -> Services {
        let Services { sources, clock, .. } = self.ports.base.clone();
        let ports = &self.ports;
        // All that is an effect, or must be remembered; what a script is made of is read as it is.
        Services {
            kv: ports.clone(),
            pubsub: ports.clone(),
            timers: ports.clone(),
            files: ports.clone(),
            http: ports.clone(),
            secrets: ports.clone(),
            sources,
            clock,
        }
    }

    /// What it would have done, in order, up to [`EFFECTS_MAX`], without the secrets that the run was told.
    pub fn effects(&self) -> Vec<Effect> {
        let written = self.ports.written();
        let mut effects = written.effects.clone();
        if !written.secrets.is_empty() {
            for text in effects.iter_mut().flat_map(|effect| [&mut effect.target, &mut effect.value]) {
                written.secrets.redact(text);
            }
        }
        effects
    }
}

impl Ports {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Notes what would have been done.
    fn would(&mut self, what: &str, target: impl Into<String>, value: &[u8]) {
        if self.effects.len() >= EFFECTS_MAX {
            return;
        }
        let end = value.len().min(EFFECT_VALUE_BYTES_MAX);
        let mut text = String::from_utf8_lossy(&value[..end]).into_owned();
        if end < value.len() {
            // A character that was cut in two.
            let whole = text.trim_end_matches('\u{fffd}').len();
            text.truncate(whole);
            text.push('…');
        }
        self.effects.push(Effect { what: what.to_owned(), target: target.into(), value: text });
    }

    /// The next version.
    fn version(&mut self) -> i64 {
        self.versions += 1;
        FIRST_VERSION + self.versions
    }

    /// Takes room for what is to be kept.
    fn take(&mut self, bytes: usize) -> Result<(), ServiceFailure> {
        let all = self.bytes.saturating_add(bytes);
        if all > OVERLAY_BYTES_MAX {
            let message = format!("a dry run keeps at most {OVERLAY_BYTES_MAX} bytes of what it would have written");
            return Err(ServiceFailure { code: Code::TooLarge, message });
        }
        self.bytes = all;
        Ok(())
    }
}

/// What ports hold and answer with is elsewhere as a rule: no run pays for it, neither for what it has handed over
/// (`given_bytes`, which are not its own any more) nor for an answer that it has not got yet.
fn elsewhere(given_bytes: usize) -> Exempt {
    alloc::release(given_bytes as u64);
    Exempt::begin()
}

/// The real port answered with something that is no answer to what it was asked.
fn confused() -> ServiceFailure {
    ServiceFailure { code: Code::Internal, message: "a service gave an answer of another kind".to_owned() }
}
