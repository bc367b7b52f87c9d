//! What the service says of itself while it runs: the log and the metrics.

mod context;
mod log_writer;
mod logger;
mod metrics;

pub use self::context::{RequestContext, TraceId};
pub use self::log_writer::flush;
pub use self::logger::{Answered, start};
pub use self::metrics::{METRICS, PoolState};
