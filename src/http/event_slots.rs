//! Slots of event streams: a limit for the process, and one for each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{ErrorCode, Problem};
use crate::domain::ids::UserId;
use crate::limits;

/// The slots in use. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct EventSlots(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_user: HashMap<UserId, usize>,
}

/// One slot; dropping it frees the slot.
pub(super) struct EventSlot {
    slots: EventSlots,
    user: UserId,
}

impl EventSlots {
    /// Takes a slot for one more stream of this user.
    ///
    /// # Errors
    /// `rate_limited` if the user has too many, `overloaded` if all have.
    pub(super) fn take(&self, user: UserId) -> Result<EventSlot, Problem> {
        let mut taken = self.taken();
        if taken.all >= limits::EVENT_STREAMS_MAX {
            return Err(Problem::new(ErrorCode::Overloaded));
        }
        let of_user = taken.by_user.entry(user).or_default();
        if *of_user >= limits::EVENT_STREAMS_PER_USER_MAX {
            let detail = format!("You have {of_user} event streams open; close one first.");
            return Err(Problem::new(ErrorCode::RateLimited).detail(detail));
        }
        *of_user += 1;
        taken.all += 1;
        drop(taken);
        Ok(EventSlot { slots: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EventSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.all -= 1;
        if let Some(of_user) = taken.by_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                taken.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> UserId {
        UserId::from_subject("issuer", &number.to_string()).unwrap()
    }

    fn refused(slots: &EventSlots, number: usize) -> Option<ErrorCode> {
        slots.take(user(number)).err().map(|problem| problem.code())
    }

    #[test]
    fn a_user_has_a_few_streams_and_leaves_room_for_others() {
        let slots = EventSlots::default();
        let take = || slots.take(user(0)).ok();
        let mut held: Vec<_> = (0..limits::EVENT_STREAMS_PER_USER_MAX).map(|_| take().unwrap()).collect();
        assert_eq!(refused(&slots, 0), Some(ErrorCode::RateLimited));
        assert_eq!(refused(&slots, 1), None);
        held.pop();
        assert_eq!(refused(&slots, 0), None);
        held.clear();
        let taken = slots.taken();
        assert_eq!((taken.all, taken.by_user.len()), (0, 0));
    }

    #[test]
    fn all_users_together_have_so_many_and_no_more() {
        let slots = EventSlots::default();
        let held: Vec<_> =
            (0..limits::EVENT_STREAMS_MAX).map(|number| slots.take(user(number)).ok()).collect();
        assert!(held.iter().all(Option::is_some));
        assert_eq!(refused(&slots, limits::EVENT_STREAMS_MAX), Some(ErrorCode::Overloaded));
    }
}
