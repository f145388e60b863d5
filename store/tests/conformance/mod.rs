//! What every backend must do, blind to which one it is.
//!
//! A case is an async function that takes an empty store; time is an argument everywhere. To add a case: a
//! function in the file of its noun, and its name in [`bind`]. A backend's test file calls
//! `conformance::bind!(open)`, where `open` answers a store and a guard that keeps it.

pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod deploys;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod kv;
pub(crate) mod nodes;
pub(crate) mod routes;
pub(crate) mod schedules;
pub(crate) mod scripts;
pub(crate) mod secrets;
pub(crate) mod story;
pub(crate) mod triggers;
pub(crate) mod versions;

use picloud_model::app::{App, NewApp};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::route::{RouteAuth, RouteSpec};
use picloud_model::script::ScriptKind;
use picloud_store::{DeployWrite, ScriptWrite, Store, StoreError};

/// 2026-01-01, when every case begins.
pub(crate) const NOW: UnixMs = 1_767_225_600_000;

pub(crate) fn person(name: &str) -> Principal {
    Principal { kind: PrincipalKind::Person, name: name.to_owned() }
}

/// What Ada does, at the socket.
pub(crate) fn act() -> Act {
    act_at(NOW)
}

pub(crate) fn act_at(at: UnixMs) -> Act {
    Act { who: person("ada"), from: "socket".to_owned(), at, message: Some("because".to_owned()) }
}

pub(crate) fn new_app(name: &str) -> NewApp {
    NewApp { name: name.to_owned(), ..NewApp::default() }
}

pub(crate) async fn make_app(store: &dyn Store, name: &str) -> App {
    store.create_app(&new_app(name), &act()).await.unwrap()
}

pub(crate) fn endpoint(name: &str, source: &str) -> ScriptWrite {
    ScriptWrite { name: name.to_owned(), kind: ScriptKind::Endpoint, source: source.to_owned(), imports: Vec::new() }
}

pub(crate) fn module(name: &str, source: &str) -> ScriptWrite {
    ScriptWrite { kind: ScriptKind::Module, ..endpoint(name, source) }
}

pub(crate) fn importing(script: ScriptWrite, modules: &[&str]) -> ScriptWrite {
    ScriptWrite { imports: modules.iter().map(|&name| name.to_owned()).collect(), ..script }
}

pub(crate) fn route(methods: &[&str], path: &str, script: &str) -> RouteSpec {
    RouteSpec {
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        path: path.to_owned(),
        script: script.to_owned(),
        auth: RouteAuth::Public,
    }
}

/// A deploy of an app that does not exist yet, with nothing in it.
pub(crate) fn deploy_of(name: &str) -> DeployWrite {
    DeployWrite {
        app: new_app(name),
        expected: None,
        scripts: Vec::new(),
        routes: Vec::new(),
        static_files: Vec::new(),
        triggers: Vec::new(),
    }
}

/// What stands in the way, out of a conflict.
#[track_caller]
pub(crate) fn in_the_way<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Vec<String> {
    match result {
        Err(StoreError::Conflict { in_the_way, .. }) => in_the_way,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

/// Expected and actual, out of a stale write.
#[track_caller]
pub(crate) fn stale<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (i64, i64) {
    match result {
        Err(StoreError::Stale { expected, actual }) => (expected, actual),
        other => panic!("expected a stale write, got {other:?}"),
    }
}

macro_rules! bind {
    ($open:path) => {
        $crate::conformance::bind!(@cases $open,
            story { a_newcomers_first_day },
            apps {
                an_app_is_made_once_and_found_by_name,
                a_patch_changes_what_it_names_and_counts_the_revision,
                a_moved_revision_refuses_a_patch_and_a_delete,
                a_deleted_app_takes_everything_but_its_history_and_its_id_is_not_reused,
                apps_are_listed_by_name_page_by_page,
                a_name_of_another_shape_is_refused,
            },
            scripts {
                each_save_of_a_new_source_is_a_version_and_an_old_one_stays,
                the_version_that_is_expected_must_be_live,
                imports_must_exist_and_be_modules,
                who_imports_whom_is_known_both_ways,
                a_script_in_use_keeps_its_kind_and_is_not_deleted_without_force,
                sources_are_shared_and_go_with_their_last_version,
                a_version_that_crashes_three_times_is_quarantined_until_released_or_replaced,
                scripts_and_versions_are_listed_page_by_page,
            },
            routes {
                a_route_needs_an_endpoint_of_its_own_app_and_the_revision_it_was_checked_against,
                routes_keep_their_order_and_their_ids_are_not_reused,
            },
            deploys {
                a_deploy_makes_the_app_exactly_this,
                the_same_deploy_again_is_no_change,
                a_deploy_that_fails_changes_nothing,
                a_deploy_against_a_moved_app_is_refused,
                what_stays_the_same_keeps_version_and_id,
                files_may_swap_their_contents_and_bytes_without_a_file_go,
                a_range_of_a_static_file_is_read_across_its_pieces,
                a_module_may_become_an_endpoint_in_one_deploy,
                snapshots_hold_all_apps_and_one_app,
            },
            kv {
                what_is_set_is_there_and_versions_only_grow,
                conditions_hold_or_change_nothing,
                an_expired_key_is_absent_for_everyone,
                incr_counts_keeps_the_time_to_live_and_refuses_what_is_no_number,
                apps_and_collections_do_not_see_each_other,
                expired_keys_are_purged_in_batches_and_the_next_expiry_is_known,
                lists_go_by_bytes_prefix_and_direction,
                a_bad_cursor_is_refused,
                a_page_of_large_values_ends_early_and_goes_on,
                collections_are_counted_and_vanish_when_empty,
                a_write_to_an_app_that_is_gone_is_a_conflict,
                many_callers_count_to_the_right_sum,
            },
            triggers {
                a_trigger_counts_its_changes_and_its_queue_goes_where_it_leads,
                a_trigger_leads_to_an_endpoint_of_its_own_app,
                triggers_are_listed_in_their_order_page_by_page,
                a_deleted_trigger_takes_its_queue_along_and_says_how_much,
                a_paused_trigger_queues_and_runs_only_what_is_fired_by_hand,
                a_schedule_keeps_its_time_until_it_changes,
                a_deploy_makes_the_triggers_exactly_these,
                a_script_that_a_trigger_leads_to_stays_what_it_is,
                a_version_knows_the_triggers_it_was_live_with,
                a_change_that_fails_leaves_the_triggers_as_they_were,
                a_deleted_app_takes_triggers_and_queue_along,
            },
            events {
                each_change_of_a_key_is_one_event_and_what_changes_nothing_is_none,
                a_trigger_takes_only_what_its_filters_say,
                a_write_and_its_events_happen_together_or_not_at_all,
                a_publish_reaches_every_trigger_whose_topic_matches,
                a_dedup_key_makes_a_second_publish_none,
                an_atomic_change_checks_all_then_does_all,
                many_writes_at_once_have_versions_of_their_own,
                a_timer_fires_at_its_time_unless_it_is_cancelled,
                a_request_is_taken_once_for_each_idempotency_key,
                what_is_done_by_hand_is_heard_as_well,
                an_event_knows_where_it_came_from,
            },
            executions {
                runs_are_listed_newest_first_and_filtered,
                runs_of_several_apps_are_one_list,
                a_run_that_is_told_twice_is_kept_once,
                runs_are_found_by_their_trigger_and_by_what_they_came_of,
                old_runs_expire_and_failures_stay_longer,
            },
            files {
                a_file_keeps_what_is_not_named_and_each_change_is_a_version,
                a_file_that_is_not_what_was_expected_is_left,
                the_quota_holds_for_all_files_of_an_app_and_shrinking_is_always_allowed,
                files_are_listed_by_name_and_id_page_by_page,
                blobs_of_removed_files_and_apps_are_told_until_they_are_forgotten,
                each_change_of_a_file_is_one_event_without_its_bytes_or_neither_is_there,
                what_is_done_to_a_file_by_hand_is_noted_and_what_a_script_does_is_not,
                a_signature_is_used_once_and_forgotten_after_its_time,
            },
            keys {
                a_key_is_made_once_and_known_by_its_hash,
                a_deleted_key_is_gone_and_its_id_is_not_reused,
                when_a_key_was_used_only_goes_forward,
                keys_are_listed_oldest_first_page_by_page,
            },
            secrets {
                a_secret_counts_its_changes_and_keeps_what_is_not_named,
                a_secret_is_at_the_version_that_is_expected_or_nothing_changes,
                secrets_belong_to_their_app_and_go_with_it_and_deploys_leave_them,
            },
            audit {
                each_change_is_one_entry_and_what_changes_nothing_is_none,
                keys_values_secrets_and_deploys_are_noted_too,
                an_entry_tells_who_what_before_and_after,
                nothing_secret_is_shown,
                the_log_is_filtered_paged_and_followed,
                an_entry_is_bounded,
                the_hash_of_an_entry_stays_what_it_is,
            },
            versions {
                a_version_knows_what_it_was_live_with,
                a_deploy_writes_down_what_its_versions_are_live_with,
                an_app_goes_back_in_one_step_or_not_at_all,
                an_importer_is_not_left_with_an_endpoint,
                a_deleted_module_can_be_brought_back_with_who_needed_it,
                old_versions_go_but_never_what_a_kept_one_needs,
            },
            deliveries {
                what_is_claimed_is_nobody_elses_and_gone_when_it_is_done,
                a_failed_one_is_due_again_and_counts_its_attempts,
                apps_and_triggers_take_turns,
                a_trigger_runs_no_more_at_once_than_it_says,
                one_key_is_one_after_the_other_in_order_and_keys_do_not_hold_each_other_up,
                what_is_too_old_is_given_up_unrun,
                an_attempt_that_never_ends_counts,
                a_timer_under_way_is_not_cancelled_and_one_that_was_not_run_is,
                a_request_has_its_answer_when_it_is_done_or_given_up,
                a_deleted_script_takes_its_timers_along,
                the_signal_tells_of_what_is_due_sooner,
            },
            dead_letters {
                a_dead_letter_keeps_the_event_and_every_attempt,
                those_who_listen_for_letters_get_one_event_each_and_a_letter_of_that_is_final,
                what_is_too_deep_is_a_dead_letter_at_once_and_shows_the_way,
                a_trigger_with_too_many_dead_letters_in_a_row_is_paused,
                what_a_person_should_look_at_is_told_for_all_apps_at_once,
                one_is_sent_again_as_it_was_or_edited,
                one_whose_script_or_version_is_gone_stays,
                many_are_sent_again_oldest_first_and_noted_once,
                letters_are_listed_newest_first_and_discarded,
                old_letters_and_too_many_go_with_their_number_noted,
            },
            nodes {
                a_node_is_its_key_and_is_let_in_once,
                a_node_changes_its_name_and_labels_and_counts_its_version,
                a_removed_node_is_not_let_in_again_and_its_name_is_free,
                a_node_takes_the_place_of_another_with_its_name_and_labels,
                what_a_node_was_seen_with_only_goes_forward,
                a_token_lets_in_as_many_as_it_says_until_it_ends,
                tokens_are_listed_newest_first_deleted_and_dropped_after_their_end,
                a_publish_of_a_node_happens_once_however_often_it_is_said,
                what_is_kept_under_a_name_is_kept_once_and_replaced_knowingly,
                every_apps_revision_is_known_at_once,
            },
            schedules {
                a_time_is_delivered_once_whoever_sees_it,
                overlap_says_what_becomes_of_a_time_while_another_is_under_way,
                a_paused_schedule_waits_and_a_full_queue_does_not_stop_one,
            },
        );
    };
    (@cases $open:path, $($noun:ident { $($case:ident),* $(,)? }),* $(,)?) => {
        $(mod $noun {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $open().await;
                $crate::conformance::$noun::$case(store).await;
            })*
        })*
    };
}
pub(crate) use bind;
