//! A file a resource; a handler reads the request, asks the appliance or the store, and writes the answer.

pub(super) mod activity;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod backup;
pub(super) mod cluster;
pub(super) mod dead_letters;
pub(super) mod deploy;
pub(super) mod env;
pub(super) mod executions;
mod file_bytes;
pub(super) mod files;
pub(super) mod join_tokens;
pub(super) mod keys;
pub(super) mod kv;
pub(super) mod logs;
mod made_up;
pub(super) mod meta;
pub(super) mod metrics;
pub(super) mod nodes;
mod paging;
pub(super) mod publish;
pub(super) mod replay;
pub(super) mod routes;
pub(super) mod run;
pub(super) mod scripts;
pub(super) mod sdk;
pub(super) mod secrets;
mod stream;
pub(super) mod sweep;
pub(super) mod timers;
pub(super) mod topics;
pub(super) mod triggers;
pub(super) mod versions;
pub(super) mod watch;
pub(super) mod whoami;

use paging::check as check_page;
