//! The policy as a table, and the counting of failures.

use super::*;

fn after(millis: u64) -> Restart {
    Restart::After(Duration::from_millis(millis))
}

#[test]
fn a_poller_gets_five_chances_a_minute_each_later_than_the_one_before() {
    let policies: Vec<Restart> = (1..=7).map(|failures| restart_policy(Child::Poller, failures)).collect();
    let expected = [after(200), after(400), after(800), after(1600), after(3200)];
    assert_eq!(policies[..5], expected);
    assert_eq!(policies[5..], [Restart::Escalate, Restart::Escalate]);
    assert_eq!(restart_policy(Child::Poller, u32::MAX), Restart::Escalate);
}

#[test]
fn failures_are_forgotten_after_a_minute() {
    let mut slot = PollerSlot::default();
    let start = Instant::now();
    let counts: Vec<u32> =
        [0, 10, 59, 60, 61, 200].map(|secs| slot.count_failure(start + Duration::from_secs(secs))).to_vec();
    assert_eq!(counts, [1, 2, 3, 3, 4, 1], "the first has left when the fourth comes");
}
