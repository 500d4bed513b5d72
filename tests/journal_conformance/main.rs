//! One suite for every journal engine, and what only the file can suffer.
//!
//! The suite is ordinary functions that take an [`Engine`](engine::Engine); a new engine is tested
//! by being listed in [`suite`]. After every step the counters of conservation are compared with
//! the rows themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod ahead;
mod deadly;
mod engine;
mod faults;
mod hands;
mod lanes;
mod limits;
mod looking;
mod messages;
mod recording;
mod refused;
mod retention;
mod room;
mod settling;
mod shared;
mod world;

/// Runs each function against each engine.
macro_rules! suite {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        mod memory {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::$module::$name(&mut crate::engine::Memory::new()).await;
            })+)+
        }
        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::$module::$name(&mut crate::engine::Sqlite::new()).await;
            })+)+
        }
    };
}

suite! {
    ahead:
        what_is_asked_for_ahead_is_claimed_once,
        what_is_taken_back_claims_nothing;
    recording:
        an_event_is_recorded_with_its_deliveries,
        a_repeat_is_answered_with_the_first_ones_id,
        a_repeat_in_one_batch_is_recognised,
        a_repeat_is_recognised_after_a_restart,
        a_repeat_beyond_the_window_is_a_new_event,
        either_identity_makes_a_repeat,
        an_event_without_identity_is_never_a_repeat,
        other_content_under_one_identity_is_a_conflict,
        two_conflicting_events_are_both_known,
        a_batch_with_an_unknown_sink_writes_nothing,
        a_result_that_triggers_nothing_is_noted,
        a_bookmark_is_written_with_its_batch_or_not_at_all,
        what_a_repeat_knows_more_is_added_once,
        what_was_added_is_found_delivered_and_removed,
        nothing_recorded_is_nothing;
    lanes:
        a_lane_keeps_the_order_of_commits,
        lanes_are_independent,
        a_delivery_without_lane_waits_for_nobody,
        a_level_is_preferred_between_lanes_never_inside_one,
        room_is_respected_and_unnamed_sinks_get_nothing,
        the_next_due_time_is_reported,
        claimers_never_hold_the_same_lane,
        what_has_expired_is_suppressed_and_passes_its_lane_on,
        a_retry_is_due_no_later_than_it_expires,
        recording_wakes_a_claimer,
        a_lane_passes_a_head_that_fails_too_long,
        a_lane_never_passes_on_a_crash;
    limits:
        permits_are_shared_by_all_sinks_of_an_endpoint,
        permits_survive_a_restart,
        where_one_endpoint_is_full_the_next_goes_on,
        where_one_endpoint_is_punished_the_next_takes_over,
        a_reserve_is_kept_for_warnings,
        a_warning_anywhere_goes_before_what_shares_its_endpoint,
        one_in_flight_waits_for_its_end,
        a_claim_given_back_gives_its_permit_back,
        what_has_no_permit_is_limited_and_not_charged_for_it,
        what_has_no_permit_still_expires,
        a_sink_that_left_waits_for_no_permit,
        a_penalty_pauses_every_sink_of_the_endpoint,
        a_run_of_sink_faults_opens_the_breaker,
        behind_a_breaker_nothing_is_charged_and_time_goes_on,
        refusals_of_single_messages_open_no_breaker,
        a_sink_that_wants_no_more_is_held,
        a_backlog_is_bounded_and_the_oldest_info_goes_first,
        a_backlog_behind_one_head_is_bounded_too;
    shared:
        on_a_shared_robot_never_too_many_and_no_permit_wasted;
    messages:
        deliveries_of_one_event_go_together,
        without_together_each_goes_alone,
        together_in_a_lane_keeps_its_order,
        what_waits_too_long_leaves_as_a_digest,
        a_message_keeps_its_members_and_after_an_unknown_its_text,
        a_message_cut_off_keeps_its_members,
        items_that_end_differently_leave_the_message,
        a_message_with_an_expired_member_is_none_any_more,
        a_message_that_does_not_fit_is_shortened,
        a_message_split_in_a_lane_keeps_its_order,
        a_lane_passes_a_whole_message,
        a_lane_passes_who_took_it_over,
        a_message_given_back_is_no_message;
    settling:
        a_delivered_event_is_over,
        a_dead_letter_says_why,
        a_retry_waits_and_counts,
        a_sink_fault_is_not_charged,
        settling_twice_is_stale,
        a_settlement_of_other_items_is_refused,
        a_claim_given_back_leaves_no_attempt,
        waiting_for_a_permit_is_not_counted,
        text_is_made_anew_until_it_may_have_arrived,
        text_is_frozen_by_an_unknown_outcome,
        a_form_is_frozen_where_no_text_was_saved,
        a_form_is_frozen_by_a_crash,
        a_saved_text_stands_before_a_form,
        text_is_frozen_once_it_partly_arrived,
        progress_survives_attempts_and_restarts,
        saving_without_a_claim_is_stale,
        a_claim_cut_off_is_unknown_and_frozen,
        a_delivery_that_kills_its_worker_dies,
        a_kill_is_forgotten_after_a_settlement,
        the_message_id_stays_while_its_member_does;
    deadly:
        a_digest_is_broken_up_and_only_the_deadly_one_dies,
        deliveries_that_went_together_are_tried_apart,
        what_went_with_a_deadly_one_is_late,
        what_was_under_way_beside_it_lives,
        a_digest_that_forms_anew_leaves_the_suspects_out;
    looking:
        events_are_listed_newest_first_in_pages,
        events_are_found_by_what_people_know,
        deliveries_are_filtered,
        pending_deliveries_are_listed_across_lanes,
        a_delivery_shows_all_its_attempts_in_order,
        phases_are_told,
        what_was_recorded_a_moment_ago_is_found,
        operations_are_filtered,
        generations_keep_what_was_in_force,
        sinks_tell_what_waits,
        a_closed_journal_says_so;
    hands:
        a_dead_letter_is_replayed,
        a_replay_of_what_arrived_has_a_new_key,
        a_replay_that_was_cancelled_goes_on_with_no_key_of_what_arrived,
        a_replay_goes_on_where_it_stopped,
        a_replay_after_an_unknown_sends_the_same_words,
        a_replay_after_an_unknown_keeps_the_form,
        a_replay_joins_no_lane,
        a_replay_has_its_time_anew,
        a_second_replay_has_no_more_time_than_the_first,
        a_replayed_member_goes_without_the_others,
        a_cancelled_member_ends_its_message,
        a_cancelled_head_leaves_its_lane_to_what_went_with_it,
        a_replay_takes_over_no_lane,
        a_replay_that_is_cancelled_leaves_nothing_behind,
        only_what_stands_as_it_was_seen_is_replayed,
        a_replay_is_removed_only_when_it_is_over_again,
        what_waits_is_cancelled_what_is_in_flight_is_not,
        cancelling_a_head_passes_its_lane_on,
        cancelling_what_stands_behind_hastens_no_head,
        a_cancelled_lane_member_never_leaves,
        a_paused_sink_is_not_claimed,
        what_stands_behind_a_head_is_held_with_it,
        a_pause_is_not_counted_for_giving_up,
        a_paused_delivery_expires_in_time,
        a_look_for_the_expired_goes_round_in_steps,
        a_receiver_that_wants_no_more_holds_its_sink,
        what_people_did_is_written_down,
        a_step_has_a_limit;
    retention:
        only_what_is_finished_and_old_is_removed,
        a_step_is_bounded_and_says_that_there_is_more,
        what_was_passed_over_is_removed_later,
        identities_outlive_their_window_only_until_swept,
        numbers_are_never_given_twice;
    room:
        at_its_bound_only_intake_is_refused,
        no_group_runs_through_the_reserve,
        beyond_the_reserve_trying_on_takes_no_more_room,
        finished_events_go_before_anything_is_refused,
        a_sink_that_is_gone_does_not_stop_intake,
        warnings_are_kept_and_intake_waits,
        a_repeat_of_what_waits_is_known_after_room_was_made,
        operations_go_in_their_turn,
        a_bound_can_be_raised;
    refused:
        a_refused_body_is_kept_and_found,
        the_oldest_of_a_source_goes_first,
        large_bodies_take_a_share_at_most,
        where_room_is_scarce_no_refused_body_is_kept,
        what_was_taken_leaves_and_who_asked_is_noted,
        refused_bodies_are_kept_no_longer_than_events;
}
