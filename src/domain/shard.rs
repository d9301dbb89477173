//! Which slice of the users a user belongs to. Frozen: see the test.

use std::fmt;

use super::ids::UserId;

/// One of the deployment's slices of users, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u16);

impl ShardId {
    /// The shard with this number; the caller knows that it exists.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its place in a list of all shards.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many shards there are: 1 to 1024, the same for the life of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCount(u16);

/// A number of shards that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shards must be 1 to {max}", max = crate::limits::SHARDS_MAX)]
pub struct ShardCountError;

impl ShardCount {
    /// Takes a number of shards.
    ///
    /// # Errors
    /// None, or more than [`crate::limits::SHARDS_MAX`].
    pub const fn new(count: u16) -> Result<Self, ShardCountError> {
        if count == 0 || count > crate::limits::SHARDS_MAX { Err(ShardCountError) } else { Ok(Self(count)) }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Every shard, in order.
    pub fn all(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// The shard of a user: FNV-1a (64 bit) over the id's 16 bytes, folded to 32 bits, modulo the count.
    ///
    /// The fold brings the well-mixed high bits into the remainder.
    #[must_use]
    pub fn shard_of(self, user: UserId) -> ShardId {
        let hash = user.uuid().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
        ShardId(u16::try_from(folded % u64::from(self.0)).expect("a remainder of a u16 fits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn the_road_from_user_to_shard_is_frozen() {
        let shards = ShardCount::new(64).unwrap();
        let found: Vec<u16> = (0..8).map(|n| shards.shard_of(user(n)).number()).collect();
        assert_eq!(found, FROZEN, "changing this moves users away from their owners");
    }

    const FROZEN: [u16; 8] = [28, 11, 6, 53, 32, 31, 10, 57];

    #[test]
    fn users_spread_evenly_even_when_their_ids_are_consecutive() {
        let shards = ShardCount::new(64).unwrap();
        let mut users_of = [0_u32; 64];
        for n in 0..64_000 {
            users_of[shards.shard_of(user(0x0199_0000 << 96 | n)).index()] += 1;
        }
        assert!(users_of.iter().all(|users| (700..1300).contains(users)), "{users_of:?}");
    }

    #[test]
    fn zero_shards_and_too_many_are_refused() {
        assert!(ShardCount::new(0).is_err());
        assert!(ShardCount::new(1025).is_err());
        assert_eq!(ShardCount::new(1).unwrap().shard_of(user(9)), ShardId::new(0));
    }
}
