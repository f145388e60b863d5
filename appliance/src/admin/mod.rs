//! The admin API: HTTP with JSON, on a Unix socket for people of this machine, over TLS for holders of API keys.
//!
//! To add a URL: a line in `router.rs`, a handler in `api/` with `#[utoipa::path]` beside it (see `openapi/mod.rs`).

mod access;
mod api;
mod asked;
mod body;
mod listener;
mod openapi;
mod peer;
mod refusal;
mod router;
mod seen_file;
mod tls;
mod visitor;

pub use listener::{Https, HttpsError, ListenError, Listening, bind};
pub(crate) use refusal::Refusal;
pub use refusal::from_store;
pub(crate) use tls::make_authority;
pub(crate) use tls::names::main_address;
pub use tls::{Tls, TlsError};
