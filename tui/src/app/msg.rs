//! What happens outside, as [`super::App::update`] is told of it.

use super::effect::Owner;
use super::key::Key;
use super::request::Answered;
use serde_json::Value;

/// The time of a message, so that nothing in here asks a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds of a clock that never jumps.
    pub(crate) mono_ms: u64,
    /// Milliseconds since 1970.
    pub(crate) unix_ms: i64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// Begin: load what is shown first.
    Start,
    /// Keys that came in one read: on a slow line several at once.
    Keys(Vec<Key>),
    /// Text that was pasted.
    Paste(String),
    /// The mouse was pressed on this column and line, both from 0.
    Click(u16, u16),
    /// The terminal is so wide and high now.
    Resize { width: u16, height: u16 },
    /// A frame with the latest state has been sent to the terminal.
    Drawn,
    /// A load ended.
    Loaded { owner: Owner, generation: u64, answered: Answered },
    /// A write ended.
    Wrote { id: u64, answered: Answered },
    /// Events of a stream, in order; one message for all that came since the last frame.
    Streamed { owner: Owner, generation: u64, events: Vec<StreamEvent> },
    /// A stream is connected, or is not.
    StreamState { owner: Owner, generation: u64, state: StreamState },
    /// The time of [`super::Effect::Later`] came.
    Due { owner: Owner },
    /// `$EDITOR` ended: the text as it is now, or why there is none.
    Edited { owner: Owner, text: Result<String, String> },
    /// So much of a file has been sent or saved.
    Transferring { owner: Owner, bytes: u64, of: Option<u64> },
    /// A file has been sent or saved.
    Transferred { owner: Owner, answered: Answered },
    /// Something outside could not be done: said on the message line.
    Failed(String),
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamEvent {
    /// `change`, `gap`, `log`, `dropped`, `activity`.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: Value,
}

/// How a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Connected.
    Live,
    /// Not; tried again at this time.
    Lost {
        /// Why.
        why: String,
        /// When it is tried again, by [`Now::mono_ms`].
        retry_at_ms: u64,
    },
    /// Refused for good: asking again would not help.
    Refused {
        /// Why.
        why: String,
    },
}
