//! The Rhai sandbox: compile, validate and run scripts under limits.
//!
//! No I/O of its own: every effect of a script goes through [`services`]. A script is text, then a
//! [`compile::Program`] (compiled once a content hash), then a run under a [`CallContext`].

pub mod context;
pub mod services;

pub mod alloc;
mod cache;
mod compile;
mod ctx;
pub mod engine;
mod error;
mod event;
mod json;
mod modules;
mod natives;
mod overlay;
mod request;
mod response;
mod run;
mod run_state;
pub mod sdk;
mod validate;
mod verdict;

pub use alloc::RunAllocator;
pub use context::{CallContext, Timeout};
pub use engine::stack_bytes_for;
pub use error::{RunError, Stop};
pub use event::EventInput;
pub use overlay::Overlay;
pub use request::HttpRequest;
pub use response::ScriptResponse;
pub use run::{Executor, ExecutorConfig, RunReport, Script};
pub use services::Services;
pub use validate::{ImportFault, Validated, check_imports, validate};
