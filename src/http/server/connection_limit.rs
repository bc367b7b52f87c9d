//! The maximum number of client connections, which is derived from the limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of open files that are neither client connections nor database connections: standard streams, listeners,
/// the runtime's files, fetches of the key set, and connections to the metrics listener.
const RESERVED_FILES: u64 = 64;

/// An upper bound of the open files per database connection: SQLite opens up to three, and PostgreSQL needs one socket.
const FILES_PER_DATABASE_CONNECTION: u64 = 4;

/// The largest value of `accept_below`, which is also actix's default.
const MAX_CONNECTIONS_PER_WORKER: usize = 25_600;

/// The smallest value of `accept_below`, even if the limit of open files is too low for it, because the service would
/// not be usable with fewer connections.
const MIN_CONNECTIONS_PER_WORKER: usize = 16;

/// The limits of client connections per worker thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// While this many connections are open, each new one causes an idle one to be closed.
    pub evict_above: usize,
    /// While this many connections are open, no more are accepted. This is more than `evict_above`, because new
    /// connections arrive while evicted ones are still closing.
    pub accept_below: usize,
}

impl ConnectionLimit {
    /// Raises the soft limit of open files to the hard limit, and derives the connection limit from it.
    pub fn from_open_files(workers: usize, database_connections: u32) -> Self {
        let files = raise_open_file_limit().unwrap_or(u64::MAX);
        let limit = Self::from_file_limit(files, workers, database_connections);
        if limit.accept_below < MAX_CONNECTIONS_PER_WORKER {
            log::info!(
                "at most {} client connections, from an open file limit of {files}",
                limit.accept_below * workers
            );
        }
        limit
    }

    fn from_file_limit(files: u64, workers: usize, database_connections: u32) -> Self {
        let reserved = RESERVED_FILES + FILES_PER_DATABASE_CONNECTION * u64::from(database_connections);
        let per_worker = files.saturating_sub(reserved) / workers.max(1) as u64;
        let accept_below = usize::try_from(per_worker).unwrap_or(usize::MAX);
        let accept_below = accept_below.clamp(MIN_CONNECTIONS_PER_WORKER, MAX_CONNECTIONS_PER_WORKER);
        Self {
            evict_above: accept_below - accept_below / 8,
            accept_below,
        }
    }
}

/// Returns the new limit, or `None` if the number of open files is unlimited.
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
            log::warn!(
                "cannot raise the open file limit, which stays {}: {error}",
                display(current)
            );
            current
        }
    }
}
