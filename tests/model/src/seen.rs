//! The states that were seen, numbered as they came. 20 bytes or so for each.

/// States that a search may see before it gives up.
const STATES_MAX: usize = 4_000_000;
/// Stands for an empty place.
const EMPTY: u32 = u32::MAX;
/// Spreads a state over the table: an odd number without a pattern.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A set that knows when each of its members came.
pub(crate) struct Seen {
    /// The members in the order they came.
    states: Vec<u128>,
    /// Numbers of members, at the place their value points to or the next free one. At most half full.
    places: Vec<u32>,
}

impl Seen {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { states: Vec::new(), places: vec![EMPTY; 1024] }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.states.len()
    }

    /// The state with this number.
    pub(crate) fn state(&self, number: u32) -> u128 {
        self.states[index(number)]
    }

    /// The number of a state, and whether it is new.
    pub(crate) fn insert(&mut self, state: u128) -> (u32, bool) {
        let mut place = self.place_of(state);
        loop {
            let number = self.places[place];
            if number == EMPTY {
                break;
            }
            if self.states[index(number)] == state {
                return (number, false);
            }
            place = (place + 1) % self.places.len();
        }
        let number = number(self.states.len());
        assert!(self.states.len() < STATES_MAX, "more than {STATES_MAX} states: choose a smaller world");
        self.places[place] = number;
        self.states.push(state);
        if self.states.len() * 2 > self.places.len() {
            self.grow();
        }
        (number, true)
    }

    fn grow(&mut self) {
        self.places = vec![EMPTY; self.places.len() * 2];
        for at in 0..self.states.len() {
            let mut place = self.place_of(self.states[at]);
            while self.places[place] != EMPTY {
                place = (place + 1) % self.places.len();
            }
            self.places[place] = number(at);
        }
    }

    fn place_of(&self, state: u128) -> usize {
        let low = u64::try_from(state & u128::from(u64::MAX)).expect("masked");
        let high = u64::try_from(state >> 64).expect("shifted");
        let mixed = (low.wrapping_mul(SPREAD) ^ high).wrapping_mul(SPREAD);
        // The upper half is the better mixed one.
        usize::try_from(mixed >> 32).expect("32 bits") % self.places.len()
    }
}

/// A number as a place in a list.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).expect("a list has room for all states")
}

/// A place in a list as a number.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer states than numbers")
}
