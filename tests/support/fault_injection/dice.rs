//! Faults from a seed: how the n-th call of an operation goes depends on the seed, the operation and n, and on
//! nothing else. So calls of different operations may change places without changing what happens to each.

use super::fault::{Fault, Op};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    seed: u64,
    odds: Vec<(Fault, u8)>,
}

impl Dice {
    /// Faults with their percentages; what exceeds 100 never happens.
    pub(super) fn new(seed: u64, odds: &[(Fault, u8)]) -> Self {
        Self { seed, odds: odds.to_vec() }
    }

    /// How the `nth` call of this operation goes.
    pub(super) fn throw(&self, op: Op, nth: u64) -> Fault {
        let mut left = mixed(mixed(mixed(self.seed) ^ op.code()) ^ nth) % 100;
        for (fault, percent) in &self.odds {
            let percent = u64::from(*percent);
            if left < percent {
                return *fault;
            }
            left -= percent;
        }
        Fault::Fine
    }
}

/// SplitMix64's step and finish (Steele, Lea and Flood 2014): every bit of the answer depends on every bit.
const fn mixed(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throws(seed: u64, op: Op) -> Vec<Fault> {
        let dice = Dice::new(seed, &[(Fault::Unavailable, 20), (Fault::Lost, 10)]);
        (0..1000).map(|nth| dice.throw(op, nth)).collect()
    }

    #[test]
    fn a_seed_says_what_happens_and_another_says_something_else() {
        assert_eq!(throws(7, Op::Commit), throws(7, Op::Commit));
        assert_ne!(throws(7, Op::Commit), throws(8, Op::Commit));
        assert_ne!(throws(7, Op::Commit), throws(7, Op::Load), "operations fail independently");
    }

    #[test]
    fn each_fault_comes_as_often_as_its_percentage_says() {
        let throws = throws(7, Op::Commit);
        let count = |fault: Fault| throws.iter().filter(|thrown| **thrown == fault).count();
        assert!((150..250).contains(&count(Fault::Unavailable)), "{}", count(Fault::Unavailable));
        assert!((65..135).contains(&count(Fault::Lost)), "{}", count(Fault::Lost));
        assert_eq!(count(Fault::Fine) + count(Fault::Unavailable) + count(Fault::Lost), 1000);
    }
}
