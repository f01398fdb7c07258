//! The lists of checks.

/// Makes a test of every promise of a ledger. Takes the path of an `async fn` that gives an empty
/// ledger, as `Arc<dyn Ledger>`, and something to keep meanwhile.
#[macro_export]
macro_rules! ledger_conformance {
    ($open:path) => {
        $crate::conformance_tests!(
            $open,
            guards {
                absent_holds_once,
                at_holds_for_the_last_revision,
                at_zero_is_absent,
                any_always_holds,
                guards_are_per_subject_and_stream,
                guards_see_the_entries_before_them,
                one_of_many_wins,
                a_counter_loses_no_increment,
            }
        );
        $crate::conformance_tests!(
            $open,
            batches {
                results_are_in_order,
                an_empty_batch_is_nothing,
                a_conflict_disturbs_no_other,
                followers_are_skipped,
                the_first_never_follows,
                following_crosses_streams,
                a_large_batch_is_appended,
            }
        );
        $crate::conformance_tests!(
            $open,
            message_ids {
                a_repetition_stores_nothing,
                a_repetition_ignores_the_guard,
                a_repetition_can_be_followed,
                ids_are_per_stream,
                ids_are_free_after_erasure,
                many_callers_store_one,
            }
        );
        $crate::conformance_tests!(
            $open,
            reading {
                last_and_history,
                reads_are_pages,
                filters_pass_what_they_name,
                subjects_are_sorted,
                times_are_now,
            }
        );
        $crate::conformance_tests!(
            $open,
            tails {
                stored_then_live,
                begins_after_the_cursor,
                filters_apply,
                a_tail_that_lags_misses_nothing,
                large_records_arrive,
                tails_are_independent,
                a_cursor_ahead_waits,
            }
        );
        $crate::conformance_tests!(
            $open,
            barriers { a_barrier_is_beyond_what_was_acknowledged, tails_come_to_it, nobody_sees_it, many_at_a_time }
        );
        $crate::conformance_tests!($open, order { everyone_sees_the_same_order });
        $crate::conformance_tests!($open, model { random_histories_agree });
        $crate::conformance_tests!(
            $open,
            erasing {
                an_erased_record_is_gone,
                the_one_before_becomes_the_last,
                revisions_are_not_used_again,
                erasing_nothing_is_no_error,
                purging_takes_a_subject,
                tails_pass_over_the_erased,
                bounds_count_what_was_given_out,
            }
        );
        $crate::conformance_tests!($open, retention { surplus_is_dropped, the_rest_is_kept });
        $crate::conformance_tests!(
            $open,
            limits {
                the_largest_fits,
                more_does_not,
                any_bytes_are_kept,
                hostile_subjects_stay_apart,
                the_longest_subject_works,
            }
        );
        $crate::conformance_tests!($open, closing { calls_after_it_are_refused, tails_end, closing_twice_is_no_error });
    };
}

/// Makes a test of every promise of a queue, like [`ledger_conformance!`](crate::ledger_conformance).
#[macro_export]
macro_rules! queue_conformance {
    ($open:path) => {
        $crate::conformance_tests!(
            $open,
            queues {
                oldest_first,
                an_offer_is_not_doubled,
                topics_are_apart,
                a_taken_hint_is_taken,
                done_removes,
                a_lease_runs_out,
                extending_keeps_it,
                offered_while_taken_comes_again,
                ready_waits_for_an_offer,
                ready_waits_for_a_lease,
                many_workers_share,
            }
        );
    };
}

/// Makes a test of every promise of an index, like [`ledger_conformance!`](crate::ledger_conformance).
#[macro_export]
macro_rules! index_conformance {
    ($open:path) => {
        $crate::conformance_tests!(
            $open,
            indexes {
                a_new_fold_reflects_nothing,
                what_is_put_is_there,
                operations_apply_in_order,
                reflections_add_up,
                folds_are_apart,
                scans_are_pages,
                scans_compare_bytes,
                clearing_forgets,
                large_values_are_kept,
            }
        );
    };
}

/// One test per named check of a module of [`conformance`](crate::conformance).
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($open:path, $theme:ident { $($check:ident),* $(,)? }) => {
        mod $theme {
            #[allow(unused_imports, reason = "the function may be named from the root")]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let (backend, _kept) = $open().await;
                    $crate::conformance::$theme::$check(backend).await;
                }
            )*
        }
    };
}
