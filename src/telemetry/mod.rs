//! The log, the metrics, and the ids that identify a request in the log.

mod context;
mod log_writer;
mod logger;
mod metrics;

pub use self::context::RequestContext;
pub use self::log_writer::flush;
pub use self::logger::{CompletedRequest, start};
pub use self::metrics::{METRICS, PoolState};
