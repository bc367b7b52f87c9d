//! Derives the maximum number of client connections from the limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that are not client connections: standard streams, listeners, the runtime's files, fetches of the key
/// set, and connections to the metrics listener.
const RESERVED_FILES: u64 = 64;

/// SQLite opens up to three files per database connection; PostgreSQL needs one socket.
const FILES_PER_DATABASE_CONNECTION: u64 = 4;

/// More connections per worker thread are not useful. This is also actix's default.
const MAX_PER_WORKER: usize = 25_600;

/// The service is not usable with fewer connections per worker thread, so a lower limit of open files is ignored.
const MIN_PER_WORKER: usize = 16;

/// The limits per worker thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// With this many connections, a new one closes an idle one.
    pub evict_above: usize,
    /// With this many connections, no more are accepted. It exceeds `evict_above`, because new connections arrive
    /// while evicted ones are still closing.
    pub accept_below: usize,
}

impl ConnectionLimit {
    /// Raises the soft limit of open files to the hard one, and derives the connection limit from it.
    pub fn from_open_files(workers: usize, database_connections: u32) -> Self {
        let files = raise_open_file_limit().unwrap_or(u64::MAX);
        let limit = Self::of(files, workers, database_connections);
        if limit.accept_below < MAX_PER_WORKER {
            log::info!(
                "at most {} client connections, from an open file limit of {files}",
                limit.accept_below * workers
            );
        }
        limit
    }

    fn of(files: u64, workers: usize, database_connections: u32) -> Self {
        let reserved = RESERVED_FILES + FILES_PER_DATABASE_CONNECTION * u64::from(database_connections);
        let per_worker = files.saturating_sub(reserved) / workers.max(1) as u64;
        let accept_below = usize::try_from(per_worker).unwrap_or(usize::MAX);
        let accept_below = accept_below.clamp(MIN_PER_WORKER, MAX_PER_WORKER);
        Self {
            evict_above: accept_below - accept_below / 8,
            accept_below,
        }
    }
}

/// Returns the new limit; `None` means unlimited.
fn raise_open_file_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let display = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string());
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            log::info!(
                "open file limit raised from {} to {}",
                display(current),
                display(maximum)
            );
            maximum
        }
        Err(error) => {
            log::warn!("the open file limit stays {}: {error}", display(current));
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_reserves_files_for_everything_else() {
        let limit = ConnectionLimit::of(256, 2, 8);
        assert_eq!(limit.accept_below, (256 - 64 - 32) / 2);
        assert!(limit.evict_above < limit.accept_below);
        assert_eq!(ConnectionLimit::of(20, 2, 8).accept_below, MIN_PER_WORKER);
        assert_eq!(ConnectionLimit::of(u64::MAX, 2, 8).accept_below, MAX_PER_WORKER);
    }
}
