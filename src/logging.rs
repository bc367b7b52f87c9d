//! The log: one line for one event, each with the id of the request that it belongs to.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::config::{Config, LogFormat};

/// The id of the request that is being worked on, wherever that work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub std::sync::Arc<str>);

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    pub fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

/// One answered request.
pub struct Access<'a> {
    pub method: &'a str,
    /// The template, and not the path: `/api/tasks/{task_id}`.
    pub route: &'a str,
    pub status: u16,
    pub took: Duration,
    pub user: Option<&'a str>,
}

impl<'a> Access<'a> {
    /// A request that a panic took with it.
    pub fn lost(method: &'a str, took: Duration) -> Self {
        Self {
            method,
            route: "-",
            status: 500,
            took,
            user: None,
        }
    }
}

pub fn access(access: &Access<'_>) {
    let user = access.user.unwrap_or("-");
    log::info!(
        target: "access",
        "{} {} {} {}us user={user:?}",
        access.method,
        access.route,
        access.status,
        access.took.as_micros(),
    );
}

pub fn start(config: &Config) {
    let format = config.log_format;
    env_logger::Builder::new()
        .parse_filters(&config.log_filter)
        .format(move |out, record| {
            let time = crate::domain::Timestamp::now();
            let id = RequestId::current();
            let id = id.as_ref().map(|id| &*id.0);
            match format {
                LogFormat::Text => {
                    write!(out, "{time} {:5} {}", record.level(), record.target())?;
                    if let Some(id) = id {
                        write!(out, " [{id}]")?;
                    }
                    writeln!(out, " {}", record.args())
                }
                LogFormat::Json => {
                    let line = json!({
                        "time": time,
                        "level": record.level().as_str(),
                        "target": record.target(),
                        "request_id": id,
                        "message": record.args().to_string(),
                    });
                    writeln!(out, "{line}")
                }
            }
        })
        .init();
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}
