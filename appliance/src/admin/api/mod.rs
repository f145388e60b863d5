//! A file a resource; a handler reads the request, asks the appliance or the store, and writes the answer.

pub(super) mod apps;
pub(super) mod deploy;
pub(super) mod executions;
pub(super) mod kv;
pub(super) mod meta;
pub(super) mod routes;
pub(super) mod run;
pub(super) mod scripts;
pub(super) mod sdk;
pub(super) mod versions;

use picloud_model::page::PageRequest;
use picloud_model::problem::Problem;

/// Refuses a page size that no list gives.
fn check_page(page: &PageRequest) -> Result<(), Problem> {
    page.limit.map_or(Ok(()), crate::kv::check_page)
}

/// `If-Match: *` on a thing that is not there.
fn gone(kind: &str, name: &str) -> Problem {
    Problem::new(
        picloud_model::Code::PreconditionFailed,
        format!("{kind} `{name}` does not exist, and `If-Match: *` asks that it does"),
    )
}
