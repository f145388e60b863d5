//! What [`super::App::update`] wants done: data, so that tests can look at it. `term/` does it.

use super::ScreenId;
use super::request::Request;
use crate::path::ApiPath;

/// Which of a screen's loads, streams or waits: a new one in the same slot replaces the old.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    /// What is loaded.
    pub(crate) name: &'static str,
    /// Of what: an app, a node; empty where there is only one.
    pub(crate) of: String,
}

impl Slot {
    /// One of several with this name.
    pub(crate) fn of(name: &'static str, of: impl Into<String>) -> Self {
        Self { name, of: of.into() }
    }
}

impl From<&'static str> for Slot {
    fn from(name: &'static str) -> Self {
        Self { name, of: String::new() }
    }
}

/// Whose: the shell's own have no screen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    /// The screen.
    pub(crate) screen: Option<ScreenId>,
    /// Its slot.
    pub(crate) slot: Slot,
}

/// Keys of a collection: those that begin with `prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeysFrom {
    /// The app.
    pub(crate) app: String,
    /// The collection.
    pub(crate) collection: String,
    /// What they begin with; empty for all.
    pub(crate) prefix: String,
}

/// Something to be done outside.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Read; answered with [`super::Msg::Loaded`]. Aborts what the owner was loading.
    Load { owner: Owner, generation: u64, request: Request },
    /// Write; answered with [`super::Msg::Wrote`]. One after the other, in order, never aborted.
    Write { id: u64, request: Request },
    /// Follow server-sent events; answered with [`super::Msg::Streamed`] batches and [`super::Msg::StreamState`].
    /// Connects again by itself, with back-off, and goes on after the last event where the stream can.
    Follow { owner: Owner, generation: u64, path: ApiPath },
    /// Stop loading or following.
    Stop { owner: Owner },
    /// Send this message after so many milliseconds; a new one of the owner replaces it.
    Later { owner: Owner, after_ms: u64 },
    /// Put text on the clipboard of whoever looks, by OSC 52.
    Copy { text: String },
    /// Open `$EDITOR` on text; answered with [`super::Msg::Edited`].
    EditOutside { owner: Owner, name: String, text: String, line: Option<usize> },
    /// Save text from the appliance in a file of the machine the program runs on, streamed; [`super::Msg::Transferred`].
    Download { owner: Owner, path: ApiPath, to: String },
    /// Write this text to a file of that machine, whole or not at all, never over one that is there;
    /// [`super::Msg::Transferred`].
    SaveText { owner: Owner, text: String, to: String },
    /// Write keys and values to a file of that machine as lines of JSON, whole or not at all, never over one that is
    /// there; [`super::Msg::Transferred`] with `keys`.
    ExportKeys { owner: Owner, from: KeysFrom, to: String },
    /// Save what a request that is no plain reading is answered with, as [`Self::Download`] does: a backup.
    Receive { owner: Owner, request: Request, to: String },
    /// Read an app folder of that machine; [`super::Msg::Transferred`] with its bundle as JSON.
    ReadFolder { owner: Owner, folder: String },
    /// Make a folder of that machine the app folder of a bundle (JSON); [`super::Msg::Transferred`] with `files`.
    WriteFolder { owner: Owner, folder: String, bundle: String },
    /// Send a file of that machine as a body, streamed; [`super::Msg::Transferred`].
    Upload { owner: Owner, request: Request, from: String },
    /// Write a draft down, so that it survives the line and the plug; an empty text removes it.
    KeepDraft { id: String, text: String },
    /// Have the terminal tell of clicks, or leave them to it.
    Point(bool),
    /// Write a setting of the person down.
    KeepSetting { name: &'static str, value: String },
    /// Leave the screen, print this, and wait for Enter.
    Print { text: String },
    /// Stop until `fg`.
    Suspend,
    /// Paint everything anew.
    Repaint,
    /// End.
    Quit,
}
