//! The conformance suite: what every engine promises its services, as tests that an engine runs on itself.
//!
//! An engine implements [`Harness`] and names it in [`conformance_suite!`](crate::conformance_suite), which makes one
//! test of each promise. The tests use the ports alone. Time passes only when a test lets it pass, so an engine on a
//! manual clock needs no real time; one whose servers have clocks of their own waits instead.

pub mod config_store;
pub mod crashes;
pub mod dedup;
pub mod due;
pub mod event_log;
pub mod fixtures;
pub mod gate_expiry;
pub mod gate_owner;
pub mod gates;
pub mod intake;
pub mod journal;
pub mod leases;
pub mod quarantine;
pub mod queue;
pub mod settling;
pub mod withdrawing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal};

/// An engine, opened: one process's view of it.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Accepted events.
    pub log: Arc<dyn EventLog>,
    /// Deliveries.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Configuration and health.
    pub store: Arc<dyn ConfigStore>,
    /// What happened.
    pub journal: Arc<dyn Journal>,
    /// Claims.
    pub dedup: Arc<dyn Dedup>,
}

/// How the suite gets at an engine. One harness is one place where data is kept, empty at first.
#[async_trait]
pub trait Harness: Send + Sync + Sized + 'static {
    /// An empty place.
    async fn start() -> Self;

    /// Opens the engine on the data that is there.
    async fn open(&self) -> Engine;

    /// From now on nobody sees anything of what the engine does, as of a process that is killed. The test drops what it got from
    /// it, and [crashes](Self::crash) it.
    fn kill(&self, engine: &Engine);

    /// Ends the engine as a crash would, losing all it has in memory, and waits until it is gone. The test has dropped
    /// everything else that it got from this engine.
    async fn crash(&self, engine: Engine);

    /// The clock that the engine goes by.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets time pass.
    async fn pass(&self, time: Duration);

    /// How long a lease lasts.
    fn lease_time(&self) -> Duration;

    /// How many partitions of events there are: whoever consumes alone comes to hold all of them.
    fn partitions(&self) -> usize {
        1
    }

    /// How many partitions of gates there are.
    fn gate_partitions(&self) -> usize {
        1
    }

    /// The points at which a settlement can be cut off by a crash, in the order in which they are passed.
    fn settle_cuts(&self) -> Vec<&'static str>;

    /// The next settlement does not get past this point: whoever waits for it gets an error or nothing, and the test
    /// crashes the engine next.
    async fn cut_next_settle(&self, engine: &Engine, cut: &'static str);

    /// Makes what is stored of a delivery unreadable, while no engine is open.
    async fn spoil(&self, webhook: WebhookId, delivery: DeliveryId);

    /// Makes what is stored of an accepted event unreadable, while no engine is open. It may come to stand at the log's end.
    async fn spoil_event(&self, project: &ProjectId, event: &EventId);

    /// Makes the journal's last entry unreadable, while no engine is open.
    async fn spoil_last_entry(&self);
}

/// Makes one test of each promise for the harness, which is a type in scope; `with an intake` those of the intake too, for a harness
/// that is an [`IntakeHarness`](crate::conformance::intake::IntakeHarness).
///
/// The crate that uses it needs `tokio` with its macros.
#[macro_export]
macro_rules! conformance_suite {
    ($harness:ty) => {
        $crate::conformance_suite! { @tests $harness;
            event_log {
                an_event_is_accepted_once_and_read_back
                a_repeated_event_is_a_duplicate_and_another_under_its_id_a_conflict
                one_call_may_hold_an_event_twice
                concurrent_appends_of_one_id_accept_exactly_one
                an_id_belongs_to_its_project
                events_come_in_order_each_once
                the_backlog_counts_what_no_position_has_passed
                a_backlog_above_a_bound_is_told
                a_line_is_crowded_by_its_own_projects_events_until_a_position_has_passed_them
                a_reader_waits_and_loses_nothing_when_it_is_dropped_waiting
                an_advanced_position_is_durable_and_the_rest_comes_again
                a_partition_passes_to_the_next_holder
                accepted_events_survive_a_crash
                an_event_that_cannot_be_read_holds_nobody_up
                an_erased_event_is_gone_and_its_id_stays_used
            }
            queue {
                a_pushed_delivery_is_leased_as_it_was_pushed
                pushing_again_does_nothing_wherever_the_delivery_stands
                a_delivery_that_has_ended_is_not_pushed_again
                leases_are_exclusive
                no_more_than_asked_for_and_the_oldest_first
                leasing_waits_for_a_push
                many_workers_share_everything_and_nothing_twice
                depth_counts_where_deliveries_stand
                pushes_survive_a_crash
            }
            due {
                nothing_is_leased_before_its_time
                a_delivery_put_off_again_and_again_stays_alive
                bringing_forward_makes_a_waiting_delivery_ready_at_its_next_hop
                bringing_forward_changes_nothing_elsewhere
                what_is_due_survives_a_crash
            }
            leases {
                a_lease_that_runs_out_is_given_to_another_and_the_first_cannot_settle
                an_attempt_under_a_lost_lease_is_journaled_and_moves_nothing
                a_renewed_lease_does_not_run_out
                a_lost_lease_cannot_be_renewed
                abandoning_makes_it_ready_at_once_in_its_old_place
                a_copy_of_an_ended_delivery_is_dropped
                leases_end_with_the_process
            }
            settling {
                an_attempt_that_failed_moves_the_delivery
                a_move_without_an_attempt_raises_the_hop_alone
                an_end_removes_the_delivery_and_is_known
                settling_twice_changes_nothing
                settling_journals_what_the_worker_held
                settlements_survive_a_crash
            }
            quarantine {
                what_is_leased_too_often_goes_into_quarantine_and_can_be_put_back
                what_cannot_be_read_goes_into_quarantine_and_holds_nobody_up
                a_gate_is_not_held_up_by_what_is_leased_too_often
                discarding_removes_what_is_in_quarantine
            }
            withdrawing {
                what_is_withdrawn_is_over_wherever_it_stood
                what_is_in_flight_is_left_to_its_holder
                what_is_in_quarantine_is_withdrawn
                what_is_not_there_is_gone
            }
            crashes {
                a_settlement_cut_off_is_wholly_before_or_wholly_after
                a_repeated_settlement_after_a_cut_ends_the_delivery_once
            }
            gates {
                a_gate_keeps_order_and_workers_do_not_see_behind_it
                reading_goes_on_from_a_position
                a_gate_is_counted_with_the_time_of_its_head
                a_move_behind_the_gate_goes_to_its_end
                discarding_removes_what_stands_behind_one_gate
                gates_survive_a_crash
            }
            gate_owner {
                taking_skips_what_is_leased
                what_is_taken_is_settled_like_any_other
                what_is_given_back_comes_again_in_its_old_place
                a_lease_from_a_gate_that_runs_out_is_an_arrival
                arrivals_wake_the_owner_once_for_each_webhook
                the_next_owner_is_told_of_everything
                an_owner_that_has_lost_its_partition_takes_nothing
                what_an_owner_had_claimed_when_it_died_is_soon_the_next_ones
                what_an_owner_had_claimed_that_gave_its_gates_back_is_its_own_until_it_ends
            }
            gate_expiry {
                what_expires_is_taken_from_the_midst_of_its_gate
                what_has_stood_too_long_is_taken_from_the_head
                what_was_swept_up_and_not_settled_stands_there_again
                what_a_worker_puts_behind_the_gate_expires_there
                the_next_owner_sweeps_what_the_last_one_would_have
            }
            dedup {
                a_claim_is_held_until_it_runs_out
                a_higher_hop_takes_over_and_the_lower_is_stale
                a_fence_displaces_nobody_who_is_there
                a_release_makes_lower_hops_stale
                a_release_leaves_a_higher_claim_as_it_is
                done_comes_first_and_the_first_end_stays
                claims_of_queued_deliveries_follow_their_hop
                standing_says_what_is_known
                ends_are_remembered_after_a_crash
            }
            journal {
                entries_come_in_order_from_a_position_on
                a_reader_waits_for_what_is_appended
                two_readers_do_not_disturb_each_other
                entries_survive_a_crash_and_positions_go_on_rising
                entries_that_are_done_with_are_not_asked_for_again
                concurrent_appends_keep_the_order_of_each
                an_entry_that_cannot_be_read_is_passed_over
            }
            config_store {
                records_read_back_with_rising_revisions
                changes_are_made_only_if_what_is_expected_is_so
                removing_is_a_change_like_any_other
                of_concurrent_creations_exactly_one_wins
                of_concurrent_updates_exactly_one_wins
                a_watch_tells_the_whole_then_every_change
                a_watch_tells_of_removals
                a_slow_watch_ends_up_right
                an_answered_change_is_in_the_last_revision
                groups_have_revisions_of_their_own
                records_survive_a_crash_and_revisions_go_on_rising
                every_kind_of_record_is_kept_watched_and_removed
            }
        }
    };
    ($harness:ty, with an intake) => {
        $crate::conformance_suite!($harness);
        $crate::conformance_suite! { @tests $harness;
            intake {
                messages_are_read_as_they_were_published_and_in_order
                a_long_line_is_read_whole_and_in_order
                whoever_waits_is_told_of_what_comes
                what_is_done_with_is_removed_and_nothing_else
                what_is_rejected_is_kept_once_with_the_reason
                a_holder_that_has_lost_its_partition_does_nothing_and_the_next_begins_where_it_ended
                what_a_holder_had_read_when_it_died_comes_again_as_it_was
            }
        }
    };
    (@tests $harness:ty; $($module:ident { $($test:ident)* })*) => {
        $(
            mod $module {
                use super::*;
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        let harness = <$harness as $crate::conformance::Harness>::start().await;
                        $crate::conformance::$module::$test(harness).await;
                    }
                )*
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    /// A promise that is written down and not in the list would never be tested.
    #[test]
    fn every_promise_is_in_the_list() {
        let list = include_str!("conformance.rs");
        let files = [
            include_str!("conformance/config_store.rs"),
            include_str!("conformance/crashes.rs"),
            include_str!("conformance/dedup.rs"),
            include_str!("conformance/due.rs"),
            include_str!("conformance/event_log.rs"),
            include_str!("conformance/gate_expiry.rs"),
            include_str!("conformance/gate_owner.rs"),
            include_str!("conformance/gates.rs"),
            include_str!("conformance/intake.rs"),
            include_str!("conformance/journal.rs"),
            include_str!("conformance/leases.rs"),
            include_str!("conformance/quarantine.rs"),
            include_str!("conformance/queue.rs"),
            include_str!("conformance/settling.rs"),
            include_str!("conformance/withdrawing.rs"),
        ];
        for name in files.iter().flat_map(|file| file.split("\npub async fn ").skip(1)) {
            let name = name.split(['(', '<']).next().unwrap();
            assert!(list.contains(&format!("                {name}\n")), "{name} is in no list");
        }
    }
}
