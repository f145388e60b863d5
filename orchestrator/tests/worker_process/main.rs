//! Real worker processes: this test program is their executable, their parent and their client.
//!
//! Run without a harness, because the program must be a worker when its first argument is `worker`. To add a test: an
//! async function in one of the modules and a line in [`TESTS`]. No test waits by sleeping for what it can observe.

#![expect(clippy::unwrap_used, reason = "a test program without a harness is not seen as a test")]

mod asked;
mod client;
mod confinement;
mod counts;
mod crashes;
mod elsewhere;
mod fake_host;
mod keys;
mod later;
mod preview;
mod requests;
mod scheduling;
mod secrets;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: picloud_executor::RunAllocator = picloud_executor::RunAllocator;

type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! tests {
    ($($module:ident::$name:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), (|| Box::pin($module::$name())) as Test),)*]
    };
}

const TESTS: &[(&str, Test)] = tests! {
    requests::a_script_answers_and_its_kv_calls_reach_the_host,
    requests::a_script_that_throws_is_a_problem_with_its_execution_and_its_record_arrives,
    requests::a_changed_app_answers_anew_as_soon_as_the_change_returns,
    requests::a_run_that_no_request_asked_for_gives_its_answer_and_its_record,
    requests::a_static_file_comes_through_the_channel,
    requests::a_draft_that_fails_tells_all_that_a_run_tells,
    asked::an_event_is_seen_and_its_run_is_told_with_all_that_is_kept_of_it,
    asked::how_a_run_ended_says_whether_to_try_it_again,
    asked::what_is_not_run_says_why_and_whether_to_try_it_again,
    asked::an_event_runs_on_the_version_that_is_asked_for,
    asked::a_dry_run_does_nothing_and_tells_what_it_would_have_done,
    asked::a_request_that_is_run_again_is_the_one_that_was_kept,
    asked::deliveries_never_take_all_places,
    later::a_request_is_taken_and_answered_at_its_address,
    later::the_same_request_is_taken_once,
    later::what_cannot_be_taken_is_refused,
    keys::a_key_opens_its_routes_and_its_script_sees_its_name_but_not_the_key,
    keys::a_key_that_is_revoked_is_refused_as_soon_as_the_change_returns,
    keys::keys_outlive_the_worker,
    keys::who_shows_wrong_keys_waits_and_is_told_for_how_long,
    preview::a_version_runs_with_the_modules_it_was_saved_with_and_those_it_calls_with_theirs,
    preview::only_who_may_invoke_or_write_sees_a_version,
    preview::another_version_of_a_quarantined_script_answers,
    counts::every_run_is_counted_once_and_told_at_most_once_a_second,
    counts::runs_asked_for_are_counted_and_drafts_are_not,
    counts::whoever_asks_is_told_all_that_was_counted_and_how_many_runs_there_are,
    counts::what_was_counted_last_is_told_when_the_worker_stops,
    secrets::a_secret_reaches_the_script_it_is_granted_to_and_its_new_value_the_next_call,
    secrets::what_is_kept_of_a_run_and_its_problem_do_not_hold_the_secret,
    crashes::a_killed_worker_is_back_and_no_connection_is_refused,
    crashes::the_runs_under_way_are_named_when_the_worker_dies,
    crashes::of_a_dead_workers_clients_only_those_with_a_run_under_way_get_an_answer,
    crashes::the_client_of_an_inline_run_that_turned_long_is_answered_too,
    crashes::after_a_death_that_no_run_is_named_for_inline_runs_are_named_too,
    crashes::a_run_asked_for_fails_as_worker_lost_when_the_worker_dies,
    crashes::a_worker_that_speaks_garbage_is_given_up_with_its_reason,
    crashes::a_worker_that_ends_at_once_is_given_up_with_its_reason,
    crashes::while_no_worker_starts_clients_are_told_and_when_one_does_they_are_answered,
    crashes::a_worker_whose_parent_is_gone_ends,
    crashes::stopping_lets_a_run_under_way_end,
    crashes::a_run_asked_for_ends_when_the_worker_stops_and_one_that_does_not_was_not_run,
    scheduling::a_host_that_gives_no_answer_costs_the_run_its_deadline_and_nobody_else_anything,
    scheduling::a_script_known_as_short_that_turns_long_stalls_nobody,
    scheduling::past_the_gate_requests_get_503_with_a_retry_after,
    scheduling::runs_that_wait_for_the_host_let_others_run,
    scheduling::an_app_with_a_bigger_memory_budget_runs_too,
    elsewhere::a_script_that_may_not_run_here_is_sent_on_once_and_refused_to_all_others,
    elsewhere::a_request_that_was_sent_on_sees_the_client_that_waits_for_it,
    elsewhere::a_machine_that_drains_says_so_also_when_its_worker_is_another,
    confinement::a_worker_can_open_no_file_and_reach_no_network,
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("worker") => return picloud_orchestrator::worker::main(),
        Some("confine-check") => return confinement::check(&args[1..]),
        _test_run => {}
    }
    let ignored_only = args.iter().any(|arg| arg == "--ignored");
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in TESTS.iter().filter(|_| !ignored_only) {
            print(&format!("{name}: test\n"));
        }
        return ExitCode::SUCCESS;
    }
    let exact = args.iter().any(|arg| arg == "--exact");
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| if exact { name == *filter } else { name.contains(*filter) })
    };
    for (name, test) in TESTS.iter().filter(|(name, _)| !ignored_only && wanted(name)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(test());
        print(&format!("test {name} ... ok\n"));
    }
    ExitCode::SUCCESS
}

fn print(text: &str) {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}
