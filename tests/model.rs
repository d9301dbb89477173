//! The protocol of the ledger, tried in every way: two nodes that may both act, deaths and lost answers at any
//! moment, a write that lands late, URLs that are used at the last moment, events that never come.
//!
//! With every defence the rules hold in every state, and from every state the system settles by itself. With one
//! defence switched off they do not, which shows that the defence is needed and that the search would see it.
//! `cargo test --test model -- --nocapture` prints the shortest way to each disaster.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test tells what it found")]

use std::io::Write as _;

use wharfinger_model::history::{self, Judge};
use wharfinger_model::quota::{self, Bounds, Check, Protocol, RELIABLE};
use wharfinger_model::upkeep::{self, Condition};
use wharfinger_model::{Model, Report, Verdict, search};

/// Searches, and prints a line in any case, and the way to a disaster when it is asked for.
fn found(name: &str, model: &impl Model) -> Report {
    let report = search(model);
    let text = report.to_string();
    let headline = text.lines().next().unwrap_or_default().trim_end_matches(':');
    writeln!(std::io::stdout(), "model: {name}: {headline}").expect("standard output is open");
    println!("{text}");
    report
}

/// Every rule holds in every state, and every state can settle. Returns how many states there are.
#[track_caller]
fn check_holds(name: &str, model: &impl Model) -> usize {
    let report = found(name, model);
    assert_eq!(report.verdict, Verdict::Holds, "{name}: {report}");
    report.states
}

/// A rule breaks, at best in so many steps.
#[track_caller]
fn check_breaks(name: &str, model: &impl Model, rule: &str, steps: usize) {
    let report = found(name, model);
    let Verdict::Broken { rule: broken, trace } = &report.verdict else { panic!("{name} holds: {report}") };
    assert!(broken.starts_with(rule), "{name}: {report}");
    assert_eq!(trace.len(), steps, "{name}: {report}");
}

/// No rule breaks, but something is left for ever.
#[track_caller]
fn check_never_settles(name: &str, model: &impl Model, stuck: usize) {
    let report = found(name, model);
    let Verdict::NeverSettles { states, trace } = &report.verdict else { panic!("{name}: {report}") };
    assert!(!trace.is_empty(), "{name}: {report}");
    assert_eq!(*states, stuck, "{name}");
}

fn quota(protocol: Protocol, bounds: Bounds) -> quota::World {
    quota::World { protocol, bounds }
}

/// One node, which may die and leave a write behind, and two files.
const ONE_NODE: Bounds = Bounds { has_two_nodes: false, ..Bounds::plain(1) };
/// Two nodes and one file.
const ONE_FILE: Bounds = Bounds { sizes: [Some(1), None], ..Bounds::plain(1) };

// The number of states is that of another search, written on its own before there was a product.

// proves: I1 I2 I3 I6 I8 I14 I15 I23 F2 F5 F7 F10 F11 F12 F41 F42 F43 F44
#[test]
fn with_every_defence_a_quota_of_one_file_is_exact() {
    assert_eq!(check_holds("every defence, quota 1", &quota(RELIABLE, Bounds::plain(1))), 607_699);
}

// proves: I1 I2 I3 I6 I8 I14 I15 I23 F2 F5 F7 F10 F11 F12 F41 F42 F43 F44
#[test]
fn with_every_defence_a_quota_of_two_files_is_exact() {
    assert_eq!(check_holds("every defence, quota 2", &quota(RELIABLE, Bounds::plain(2))), 1_625_009);
}

// proves: I23
#[test]
fn writes_without_a_condition_overwrite_each_other() {
    let protocol = Protocol { check: Check::Nothing, ..RELIABLE };
    for allowed in 1..=2 {
        check_breaks(
            &format!("plain batch, quota {allowed}"),
            &quota(protocol, Bounds::plain(allowed)),
            "I1",
            6,
        );
    }
}

// proves: I7
#[test]
fn reservations_in_memory_are_made_twice() {
    let protocol = Protocol { reserves_durably: false, ..RELIABLE };
    check_breaks("reservation in memory, quota 1", &quota(protocol, Bounds::plain(1)), "I8", 4);
    check_breaks("reservation in memory, quota 2", &quota(protocol, Bounds::plain(2)), "I1", 6);
}

// proves: F44
#[test]
fn an_epoch_that_outlives_a_reading_lets_ones_own_late_write_in() {
    let protocol = Protocol { check: Check::EpochOfOwner, ..RELIABLE };
    for allowed in 1..=2 {
        check_breaks(
            &format!("epoch of the owner, quota {allowed}"),
            &quota(protocol, Bounds::plain(allowed)),
            "I1",
            7,
        );
    }
}

#[test]
fn an_epoch_for_every_reading_would_do_as_well_as_a_version() {
    let protocol = Protocol { check: Check::EpochOfReading { loads_max: 4 }, ..RELIABLE };
    let report = found("epoch of each reading, 4 readings", &quota(protocol, ONE_NODE));
    // After the last reading nobody may act any more, so not everything settles.
    assert!(!matches!(report.verdict, Verdict::Broken { .. }), "{report}");
}

// proves: I8 F10
#[test]
fn a_reservation_that_ends_with_its_url_lets_uploads_over_the_quota() {
    let protocol = Protocol { waits_for_uploads: false, ..RELIABLE };
    check_breaks("release when the URL ends", &quota(protocol, Bounds::plain(1)), "I8", 10);
}

// proves: I14 I15
#[test]
fn an_object_deleted_before_its_row_says_so_may_be_a_processed_one() {
    let protocol = Protocol { waits_for_uploads: false, marks_before_delete: false, ..RELIABLE };
    let bounds = Bounds { counts_urls: false, ..Bounds::plain(1) };
    check_breaks("delete before marking", &quota(protocol, bounds), "I14", 20);
}

#[test]
fn an_early_release_alone_lets_uploads_over_the_quota_and_breaks_nothing_else() {
    let protocol = Protocol { waits_for_uploads: false, ..RELIABLE };
    check_holds(
        "early release, URLs not counted",
        &quota(protocol, Bounds { counts_urls: false, ..ONE_NODE }),
    );
}

// proves: I18 F12
#[test]
fn without_a_sweep_one_lost_event_is_never_made_good() {
    let protocol = Protocol { sweeps: false, ..RELIABLE };
    check_never_settles("no sweep", &quota(protocol, Bounds::plain(1)), 67_536);
}

// proves: I1 I2 I3 I8 I14
#[test]
fn files_of_unequal_size_are_counted_exactly() {
    for (allowed, first, second) in [(2, 1, 2), (3, 1, 2), (3, 2, 2)] {
        let bounds = Bounds { sizes: [Some(first), Some(second)], quota: allowed, ..ONE_NODE };
        check_holds(&format!("sizes {first} and {second}, quota {allowed}"), &quota(RELIABLE, bounds));
    }
}

// proves: I2 I6 I8 F7
#[test]
fn a_cancelled_upload_stays_reserved_and_its_late_object_is_removed() {
    for (name, bounds) in [
        ("one node", ONE_NODE),
        ("one node, quota 2", Bounds { quota: 2, ..ONE_NODE }),
        ("one file", ONE_FILE),
    ] {
        check_holds(&format!("cancel, {name}"), &quota(RELIABLE, Bounds { cancels: true, ..bounds }));
    }
}

// proves: I8
#[test]
fn a_cancel_that_gives_bytes_back_at_once_lets_uploads_over_the_quota() {
    let protocol = Protocol { holds_cancelled: false, ..RELIABLE };
    check_breaks("cancel releases at once", &quota(protocol, Bounds { cancels: true, ..ONE_NODE }), "I8", 9);
}

// proves: I1 I6 I10 I14
#[test]
fn trashed_files_stay_counted_and_come_back_whole() {
    for (name, bounds) in [("one node", ONE_NODE), ("one file", ONE_FILE)] {
        let bounds = Bounds { trashes: true, busy_below: 6, ..bounds };
        check_holds(&format!("trash, {name}"), &quota(RELIABLE, bounds));
    }
}

// proves: I3 I8 I23
#[test]
fn a_quota_may_change_at_any_moment() {
    let two = Bounds { quota: 2, lowered_quota: Some(1), busy_below: 4, ..ONE_NODE };
    let none = Bounds { lowered_quota: Some(0), busy_below: 4, ..ONE_FILE };
    check_holds("quota between 2 and 1, one node", &quota(RELIABLE, two));
    check_holds("quota between 1 and 0, one file", &quota(RELIABLE, none));
}

// proves: I23
#[test]
fn a_quota_change_that_is_no_version_is_undone_by_the_next_write() {
    let protocol = Protocol { counts_quota_changes: false, ..RELIABLE };
    let bounds = Bounds { lowered_quota: Some(0), busy_below: 4, ..ONE_FILE };
    check_breaks("quota beside the version", &quota(protocol, bounds), "I23", 6);
}

// proves: I1 I2 I3 I6 I8 I14 I15 I23
#[test]
fn everything_at_once_is_exact() {
    let bounds = Bounds { cancels: true, trashes: true, lowered_quota: Some(0), busy_below: 3, ..ONE_FILE };
    check_holds("cancel, trash and quota change, one file", &quota(RELIABLE, bounds));
}

/// Two requests, which each node tries twice.
const REQUESTS: history::Bounds = history::Bounds { requests: 2, tries_max: 2, once: false };

fn history(protocol: history::Protocol) -> history::World {
    history::World { protocol, bounds: REQUESTS }
}

// proves: I5 I21 I24 I28 F3 F4 F33 F34 F47
#[test]
fn every_entry_is_published_in_order_and_every_lost_answer_is_judged_rightly() {
    check_holds("entries and events", &history(history::RELIABLE));
}

// proves: F33
#[test]
fn the_last_op_of_the_account_does_not_judge_a_write_that_others_wrote_upon() {
    let protocol = history::Protocol { judge: Judge::LastOp, ..history::RELIABLE };
    check_breaks("judged by the last op", &history(protocol), "a write whose answer was lost", 10);
}

// proves: F33 F34
#[test]
fn a_driver_that_repeats_a_write_takes_its_own_success_for_a_refusal() {
    let protocol = history::Protocol { judge: Judge::Repeat, ..history::RELIABLE };
    check_breaks("the driver repeats", &history(protocol), "a write whose answer was lost", 6);
}

// proves: F33
#[test]
fn a_lost_answer_is_not_a_success() {
    let protocol = history::Protocol { judge: Judge::Hope, ..history::RELIABLE };
    check_breaks("taken for applied", &history(protocol), "a write whose answer was lost", 5);
}

// proves: I21 F47
#[test]
fn an_event_is_published_when_the_log_says_so_and_not_when_it_is_sent() {
    let protocol = history::Protocol { marks_after_ack: false, ..history::RELIABLE };
    check_breaks("marked before the log has it", &history(protocol), "I21", 8);
}

// proves: I21 F47
#[test]
fn who_publishes_only_what_it_wrote_skips_what_the_dead_left() {
    let protocol = history::Protocol { reads_entries: false, ..history::RELIABLE };
    check_breaks("entries only from memory", &history(protocol), "I21", 7);
}

/// What the protocol does not promise. The first write of a request is taken for lost, rightly, and lands later;
/// another client undoes it; the request, not answered yet, is decided again and done again. The two clients acted
/// at the same time, so either order is right; the history has all three entries.
#[test]
fn an_unanswered_request_may_be_done_again_after_somebody_undid_it() {
    let bounds = history::Bounds { once: true, ..REQUESTS };
    let world = history::World { protocol: history::RELIABLE, bounds };
    check_breaks("one request, one entry", &world, "one request made two entries", 13);
}

/// Two nodes and one file, for which the client asks twice.
const UPKEEP: upkeep::Bounds = upkeep::Bounds { has_two_nodes: true, asks: 2, files: 1, has_reader: false };
/// One node, which may die and leave a write behind, and time for a second file.
const TWO_FILES: upkeep::Bounds = upkeep::Bounds { has_two_nodes: false, files: 2, ..UPKEEP };

fn upkeep(protocol: upkeep::Protocol, bounds: upkeep::Bounds) -> upkeep::World {
    upkeep::World { protocol, bounds }
}

// proves: I4 I9 I21 I23 I28 F2 F42
#[test]
fn rows_history_and_requests_leave_when_nothing_needs_them_any_more() {
    check_holds("upkeep, two nodes", &upkeep(upkeep::RELIABLE, UPKEEP));
    check_holds("upkeep, two files", &upkeep(upkeep::RELIABLE, TWO_FILES));
    let read = upkeep::Bounds { has_reader: true, files: 1, ..TWO_FILES };
    check_holds("upkeep, with a reader", &upkeep(upkeep::RELIABLE, read));
}

// proves: I23 F2 F42
#[test]
fn writes_without_a_version_of_their_own_undo_each_other_where_the_version_alone_is_compared() {
    let rule = "I23: a write took back what another one had written";
    let version = upkeep::Protocol { condition: Condition::Version, ..upkeep::RELIABLE };
    check_breaks("version alone", &upkeep(version, UPKEEP), rule, 11);
    let condition = Condition::VersionWithoutTransition;
    let version = upkeep::Protocol { condition, ..upkeep::RELIABLE };
    check_breaks("version alone without a transition", &upkeep(version, UPKEEP), rule, 15);
}

// proves: I21
#[test]
fn a_row_that_is_forgotten_before_its_last_event_is_out_loses_the_event() {
    let protocol = upkeep::Protocol { keeps_rows_for_events: false, ..upkeep::RELIABLE };
    check_breaks("forgotten too early", &upkeep(protocol, UPKEEP), "I21: a row was forgotten", 10);
}

// proves: I21 I28
#[test]
fn history_that_is_trimmed_above_what_is_published_loses_its_events() {
    let protocol = upkeep::Protocol { trims_below_published: false, ..upkeep::RELIABLE };
    check_breaks("trimmed above published", &upkeep(protocol, UPKEEP), "I21: an entry was trimmed", 10);
}

// proves: I28 F33
#[test]
fn a_young_entry_that_is_trimmed_makes_an_applied_write_look_lost() {
    let protocol = upkeep::Protocol { trims_old_entries: false, ..upkeep::RELIABLE };
    check_breaks("trimmed young", &upkeep(protocol, UPKEEP), "a write whose answer was lost", 13);
}

// proves: I28
#[test]
fn a_reader_whose_place_is_trimmed_must_compare_versions() {
    let protocol = upkeep::Protocol { reports_gaps: false, ..upkeep::RELIABLE };
    let bounds = upkeep::Bounds { has_reader: true, ..UPKEEP };
    check_breaks("a gap that is not reported", &upkeep(protocol, bounds), "I28: a reader passed over", 12);
}

// proves: I9
#[test]
fn a_request_that_is_forgotten_within_its_day_reserves_again() {
    let rule = "I9: a request reserved a second time";
    let short = upkeep::Protocol { remembers_for_a_day: false, ..upkeep::RELIABLE };
    check_breaks("forgotten within a day", &upkeep(short, TWO_FILES), rule, 12);
    let with_row = upkeep::Protocol { remembers_apart: false, ..upkeep::RELIABLE };
    check_breaks("forgotten with the row", &upkeep(with_row, TWO_FILES), rule, 19);
}
