//! The log, the metrics, and the ids that connect both to requests.

mod context;
mod log_writer;
mod logger;
mod metrics;

pub use self::context::{RequestContext, TraceId};
pub use self::log_writer::flush;
pub use self::logger::{CompletedRequest, start};
pub use self::metrics::{METRICS, PoolState};
