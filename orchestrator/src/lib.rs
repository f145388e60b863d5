//! The worker: HTTP ingress, route table, running scripts; and the parent's side of it.
//!
//! A worker is this program started again as an unprivileged child, with the ingress socket and one socket to
//! its parent; it holds no data and no keys.

pub mod capture;
pub mod channel;
pub mod confine;
pub mod counting;
pub mod file_answer;
pub mod inflight;
pub mod ingress;
pub mod ingress_sockets;
pub mod keyring;
pub mod live;
pub mod outbound;
pub mod parking;
pub mod path;
pub mod previews;
pub mod problem_response;
mod refusals;
pub mod route_table;
pub mod run;
pub mod services;
pub mod static_files;
pub mod supervisor;
pub mod worker;
mod worker_log;
