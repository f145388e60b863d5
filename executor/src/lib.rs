//! The Rhai sandbox: compile, validate and run scripts under limits.
//!
//! No I/O of its own: every effect of a script goes through [`services`]. A script is text, then a
//! [`Program`] (compiled once a content hash), then a run under a [`CallContext`].

pub mod context;
pub mod services;

pub use context::CallContext;
pub use services::Services;
