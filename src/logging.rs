//! The log: one line for one event, each with the id of the request that it belongs to.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::{Map, json};

use crate::config::{Config, LogFormat};
use crate::domain::Timestamp;
use crate::metrics::METRICS;

/// The id of the request that is being worked on, wherever that work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

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

    /// Work that goes on beside its request, and still belongs to it.
    pub fn spawn<F: Future<Output = ()> + 'static>(work: F) -> JoinHandle<()> {
        match Self::current() {
            Some(id) => actix_web::rt::spawn(id.scope(work)),
            None => actix_web::rt::spawn(work),
        }
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

impl Access<'_> {
    /// For the log and for the metrics.
    pub fn note(&self) {
        METRICS.request(self.method, self.route, self.status, self.took);
        log::info!(
            target: "access",
            method = self.method,
            route = self.route,
            status = self.status,
            duration_us = self.took.as_micros() as u64,
            user_id = self.user;
            "{} {} {}", self.method, self.route, self.status
        );
    }
}

pub fn start(config: &Config) {
    let write = match config.log_format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    };
    env_logger::Builder::new()
        // What actix has to say of clients' mistakes is said by us, with the request's id.
        .parse_filters(&format!("actix_http=off,{}", config.log_filter))
        .format(write)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        log::error!(target: "panic", "{}", panic.to_string().replace('\n', " "));
    }));
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    write!(
        out,
        "{} {:5} {}",
        Timestamp::now(),
        record.level(),
        record.target()
    )?;
    if let Some(RequestId(id)) = RequestId::current() {
        write!(out, " [{id}]")?;
    }
    write!(out, " {}", record.args())?;
    // Of an access line, the message has the first three.
    let skip = if record.target() == "access" { 3 } else { 0 };
    let mut pairs = TextPairs { out, skip };
    record.key_values().visit(&mut pairs).map_err(io::Error::other)?;
    writeln!(out)
}

struct TextPairs<'a> {
    out: &'a mut Formatter,
    skip: usize,
}

impl<'kvs> VisitSource<'kvs> for TextPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        // Debug, so that no user id can begin a new line.
        Ok(write!(self.out, " {key}={value:?}")?)
    }
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut line = Map::new();
    line.insert("time".into(), json!(Timestamp::now()));
    line.insert("level".into(), record.level().as_str().into());
    line.insert("target".into(), record.target().into());
    if let Some(RequestId(id)) = RequestId::current() {
        line.insert("request_id".into(), (*id).into());
    }
    line.insert("message".into(), record.args().to_string().into());
    let mut pairs = JsonPairs(&mut line);
    record.key_values().visit(&mut pairs).map_err(io::Error::other)?;
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

struct JsonPairs<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = serde_json::to_value(value).unwrap_or_default();
        if !value.is_null() {
            self.0.insert(key.as_str().into(), value);
        }
        Ok(())
    }
}
