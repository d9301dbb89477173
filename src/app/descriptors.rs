//! File descriptors: as many as the process may have, and connections never so many that files go short.
//!
//! A store that cannot open a file takes no more writes, so the last descriptor must not go to a connection.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of all descriptors, one in so many is a client's connection.
const CLIENTS_SHARE: u64 = 2;
/// One in so many is a connection to the embedded bucket; each may hold a file open too.
const UPLOADS_SHARE: u64 = 8;

/// How many the process may have open; none: no bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptors(Option<u64>);

impl Descriptors {
    /// Raises the bound of the process as far as the system lets it.
    pub(super) fn claim() -> Self {
        let bound = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: bound.maximum, maximum: bound.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => Self(bound.maximum),
            Err(error) => {
                tracing::debug!("the bound of open files stays as it is: {error}");
                Self(bound.current)
            }
        }
    }

    /// Connections of clients, where so many were asked for.
    pub(super) fn for_clients(self, asked: usize) -> usize {
        let clients = self.share(asked, CLIENTS_SHARE);
        if clients < asked {
            tracing::warn!(
                "http.connections_max is {asked}, but with {} open files at most it is {clients}: raise `ulimit -n`",
                self.0.unwrap_or(u64::MAX)
            );
        }
        clients
    }

    /// Connections to the embedded bucket, where so many were asked for.
    pub(super) fn for_uploads(self, asked: usize) -> usize {
        self.share(asked, UPLOADS_SHARE)
    }

    fn share(self, asked: usize, one_in: u64) -> usize {
        let share = self.0.map_or(usize::MAX, |all| usize::try_from(all / one_in).unwrap_or(usize::MAX));
        asked.min(share.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        let check = |bound: Option<u64>, expected: (usize, usize)| {
            let all = Descriptors(bound);
            assert_eq!((all.for_clients(10_000), all.for_uploads(1024)), expected, "{bound:?}");
        };
        check(None, (10_000, 1024));
        check(Some(1 << 20), (10_000, 1024));
        check(Some(1024), (512, 128));
        check(Some(1), (1, 1));
    }

    #[test]
    fn what_the_process_claims_it_has() {
        let Descriptors(claimed) = Descriptors::claim();
        assert_eq!(getrlimit(Resource::Nofile).current, claimed);
    }
}
