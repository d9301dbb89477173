//! A consumer's progress: how far it has been handed records, and which of them are still open.
//!
//! Plain state, no I/O. What is saved is one consistent picture: a crash goes back to an earlier one, and
//! what was handed out or acknowledged since is delivered again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::adapters::embedded::store::{ReadError, row, unrow};
use crate::domain::time::Timestamp;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsumerProgress {
    filter: String,
    /// Every matching record up to here was handed out at least once.
    seen: u64,
    open: BTreeMap<u64, Open>,
    ack_wait: Duration,
    open_max: usize,
    has_moved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    deliveries: u32,
    due: Timestamp,
}

/// A record that is handed out, and for which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) sequence: u64,
    pub(super) deliveries: u32,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    filter: String,
    seen: u64,
    open: Vec<(u64, u32)>,
}

impl ConsumerProgress {
    /// At the start of its stream.
    pub(super) const fn new(filter: String) -> Self {
        let open = BTreeMap::new();
        Self { filter, seen: 0, open, ack_wait: Duration::ZERO, open_max: 1, has_moved: true }
    }

    /// As it was saved; what was open is due at once.
    pub(super) fn load(saved: &[u8]) -> Result<Self, ReadError> {
        let Saved { filter, seen, open } = unrow(saved, 0)?;
        let due = Timestamp::default();
        let open = open.into_iter().map(|(at, deliveries)| (at, Open { deliveries, due })).collect();
        Ok(Self { filter, seen, open, ack_wait: Duration::ZERO, open_max: 1, has_moved: false })
    }

    /// What to save, if it has moved since it was saved last.
    pub(super) fn save(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.has_moved).then(|| {
            let open = self.open.iter().map(|(at, open)| (*at, open.deliveries)).collect();
            row(&[], &Saved { filter: self.filter.clone(), seen: self.seen, open })
        })
    }

    /// How long a record stays hidden, and how many may be open; the newest reader's word counts.
    pub(super) fn configure(&mut self, ack_wait: Duration, open_max: usize) {
        self.ack_wait = ack_wait;
        self.open_max = open_max.max(1);
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Up to here everything is acknowledged.
    pub(super) fn floor(&self) -> u64 {
        self.open.keys().next().map_or(self.seen, |first| first.saturating_sub(1))
    }

    /// How many more may be open.
    pub(super) fn room(&self) -> usize {
        self.open_max.saturating_sub(self.open.len())
    }

    /// Hands out again what was not acknowledged in time, oldest record first.
    pub(super) fn hand_again(&mut self, max: usize, now: Timestamp) -> Vec<Handed> {
        let until = now.after(self.ack_wait);
        let due = self.open.iter_mut().filter(|(_, open)| open.due <= now).take(max);
        let handed: Vec<Handed> = due
            .map(|(sequence, open)| {
                *open = Open { deliveries: open.deliveries.saturating_add(1), due: until };
                Handed { sequence: *sequence, deliveries: open.deliveries }
            })
            .collect();
        self.has_moved |= !handed.is_empty();
        handed
    }

    /// Hands out records for the first time; up to `seen` there are no others.
    pub(super) fn hand_new(&mut self, sequences: &[u64], seen: u64, now: Timestamp) -> Vec<Handed> {
        let open = Open { deliveries: 1, due: now.after(self.ack_wait) };
        self.open.extend(sequences.iter().map(|sequence| (*sequence, open)));
        self.has_moved |= seen != self.seen;
        self.seen = seen;
        sequences.iter().map(|sequence| Handed { sequence: *sequence, deliveries: 1 }).collect()
    }

    /// Done with a record. Returns whether that makes room where there was none.
    pub(super) fn close(&mut self, sequence: u64) -> bool {
        let was_full = self.room() == 0;
        let was_open = self.open.remove(&sequence).is_some();
        self.has_moved |= was_open;
        was_full && was_open
    }

    /// Hands a record out again after `delay`, if `handed` is the last delivery of it.
    pub(super) fn postpone(&mut self, handed: Handed, delay: Duration, now: Timestamp) {
        if let Some(open) = self.open.get_mut(&handed.sequence)
            && open.deliveries == handed.deliveries
        {
            open.due = now.after(delay);
        }
    }

    /// When the next open record is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.open.values().map(|open| open.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const WAIT: Duration = Duration::from_secs(30);

    fn progress() -> ConsumerProgress {
        let mut progress = ConsumerProgress::new("a.>".to_owned());
        progress.configure(WAIT, 3);
        progress
    }

    fn handed(list: &[Handed]) -> Vec<(u64, u32)> {
        list.iter().map(|handed| (handed.sequence, handed.deliveries)).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_handed_out_again_and_counted() {
        let mut progress = progress();
        assert_eq!(handed(&progress.hand_new(&[4, 7], 9, NOW)), [(4, 1), (7, 1)]);
        assert_eq!(handed(&progress.hand_again(9, NOW.after(WAIT).before(Duration::from_millis(1)))), []);
        progress.close(4);
        assert_eq!(handed(&progress.hand_again(9, NOW.after(WAIT))), [(7, 2)]);
        assert_eq!(progress.seen(), 9);
    }

    #[test]
    fn a_saved_place_goes_on_where_it_was() {
        let mut before = progress();
        before.hand_new(&[4, 7], 9, NOW);
        before.close(4);
        let mut after = ConsumerProgress::load(&before.save().unwrap()).unwrap();
        after.configure(WAIT, 3);
        assert_eq!((after.filter(), after.seen()), ("a.>", 9));
        assert_eq!(handed(&after.hand_again(9, NOW)), [(7, 2)]);
        assert_eq!(before.save(), None, "nothing moved since");
        before.close(7);
        let mut done = ConsumerProgress::load(&before.save().expect("it moved")).unwrap();
        assert_eq!(handed(&done.hand_again(9, NOW)), []);
    }

    #[test]
    fn room_is_what_may_still_be_open() {
        let mut progress = progress();
        progress.hand_new(&[1, 2, 3], 3, NOW);
        assert_eq!(progress.room(), 0);
        assert!(progress.close(2), "there is room again");
        assert!(!progress.close(2), "repeating it changes nothing");
        assert_eq!(progress.room(), 1);
    }

    #[test]
    fn everything_below_the_oldest_open_record_is_acknowledged() {
        let mut progress = progress();
        assert_eq!(progress.floor(), 0);
        progress.hand_new(&[4, 7], 9, NOW);
        assert_eq!(progress.floor(), 3);
        progress.close(7);
        assert_eq!(progress.floor(), 3);
        progress.close(4);
        assert_eq!(progress.floor(), 9);
    }

    #[test]
    fn only_the_last_delivery_can_be_postponed() {
        let mut progress = progress();
        let first = progress.hand_new(&[1], 1, NOW)[0];
        let second = progress.hand_again(1, NOW.after(WAIT))[0];
        progress.postpone(first, Duration::ZERO, NOW);
        assert_eq!(progress.next_due(), Some(NOW.after(WAIT).after(WAIT)));
        progress.postpone(second, Duration::from_secs(1), NOW);
        assert_eq!(progress.next_due(), Some(NOW.after(Duration::from_secs(1))));
    }
}
