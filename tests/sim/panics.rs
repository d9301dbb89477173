//! Panics inside nodes, which runtimes and supervisors swallow. Those that the weather brings are no news.

use std::cell::RefCell;
use std::sync::Once;

use crate::world::PORT_PANIC;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

static HOOK: Once = Once::new();

/// From now on panics of simulating threads are kept, and only the test's own are printed.
pub(crate) fn keep() {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if tokio::runtime::Handle::try_current().is_ok() {
                if panic.payload_as_str().is_none_or(|said| said != PORT_PANIC) {
                    SEEN.with_borrow_mut(|seen| seen.push(panic.to_string()));
                }
            } else {
                usual(panic);
            }
        }));
    });
}

/// What panicked in this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    SEEN.take()
}
