//! The admin API: HTTP with JSON on a Unix socket, for people of this machine.
//!
//! To add a URL: a line in `router.rs`, a handler in `api/`.

mod api;
mod body;
mod caller;
mod listener;
mod peer;
mod refusal;
mod router;

pub use listener::{ListenError, Listening, bind};
pub use refusal::from_store;
