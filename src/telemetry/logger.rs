//! The format of the log: one line per event, with the id of the request that caused the event.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env_logger::Target;
use env_logger::fmt::Formatter;
use log::{Level, LevelFilter, Record};
use serde::Serialize;

use super::context::RequestContext;
use super::log_writer::{LogWriter, flush};
use super::metrics::METRICS;
use crate::config::{Config, LogFormat};
use crate::domain::Timestamp;

static IS_JSON: AtomicBool = AtomicBool::new(false);

pub struct CompletedRequest<'a> {
    pub method: &'a str,
    /// The pattern of the route, such as `/api/tasks/{id}`. The path itself would contain ids.
    pub route: &'a str,
    pub status: u16,
    pub duration: Duration,
    pub user_id: Option<&'a str>,
}

impl CompletedRequest<'_> {
    /// Writes the access log line and updates the metrics.
    pub fn record(&self) {
        METRICS.request_completed(self.method, self.route, self.status, self.duration);
        if IS_JSON.load(Ordering::Relaxed) {
            if log::log_enabled!(target: "access", Level::Info)
                && let Ok(line) = self.json_line()
            {
                let _ = LogWriter.write(&line);
            }
            return;
        }
        // The `Debug` format escapes line breaks, so that a user id cannot contain a forged log line.
        let user_id = self
            .user_id
            .map_or_else(String::new, |id| format!(" user_id={id:?}"));
        let duration_us = self.duration.as_micros();
        log::info!(
            target: "access",
            "{} {} {} duration_us={duration_us}{user_id}", self.method, self.route, self.status
        );
    }

    /// Formats the line directly, because there is one such line per request and the log facade takes about three times
    /// as many instructions.
    fn json_line(&self) -> serde_json::Result<Vec<u8>> {
        let message = format!("{} {} {}", self.method, self.route, self.status);
        let mut line = JsonLine::new(Level::Info, "access", &message)?;
        line.push("method", self.method)?;
        line.push("route", self.route)?;
        line.push("status", &self.status)?;
        line.push("duration_us", &(self.duration.as_micros() as u64))?;
        if let Some(user_id) = self.user_id {
            line.push("user_id", user_id)?;
        }
        Ok(line.finish())
    }
}

/// A line of the JSON log.
struct JsonLine(Vec<u8>);

impl JsonLine {
    /// Begins a line with the members that all lines have.
    fn new(level: Level, target: &str, message: &(impl Serialize + ?Sized)) -> serde_json::Result<Self> {
        let mut line = Self(Vec::with_capacity(512));
        line.push("time", &Timestamp::now())?;
        line.push("level", level.as_str())?;
        line.push("target", target)?;
        if let Some(RequestContext { request_id, trace_id }) = RequestContext::current() {
            line.push("request_id", &*request_id)?;
            if let Some(trace_id) = trace_id {
                line.push("trace_id", &*trace_id)?;
            }
        }
        line.push("message", message)?;
        Ok(line)
    }

    fn push(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
        let Self(text) = self;
        text.push(if text.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut *text, key)?;
        text.push(b':');
        serde_json::to_writer(text, value)
    }

    fn finish(self) -> Vec<u8> {
        let Self(mut text) = self;
        text.extend_from_slice(b"}\n");
        text
    }
}

pub fn start(config: &Config) -> io::Result<()> {
    IS_JSON.store(matches!(config.log_format, LogFormat::Json), Ordering::Relaxed);
    let write = match config.log_format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    };
    env_logger::Builder::new()
        // actix_http logs every malformed request as an error, although only the client can correct it. The service
        // itself logs what actix_server logs at the start.
        .parse_filters(&format!(
            "actix_http=off,actix_server=warn,tokio_postgres=warn,{}",
            config.log_filter
        ))
        // ureq logs the URL of the key set and the bytes of requests at the levels debug and trace. Both may contain
        // secrets. The submodules are listed because a filter for them in `RUST_LOG` would take precedence over the
        // filter for `ureq`.
        .filter_module("ureq", LevelFilter::Info)
        .filter_module("ureq::run", LevelFilter::Info)
        .filter_module("ureq_proto", LevelFilter::Info)
        .filter_module("ureq_proto::util", LevelFilter::Info)
        .format(write)
        .target(Target::Pipe(Box::new(LogWriter::start()?)))
        .init();
    std::panic::set_hook(Box::new(|panic| {
        log::error!(target: "panic", "{}", panic.to_string().replace('\n', " "));
        flush();
    }));
    Ok(())
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    write!(
        out,
        "{} {:5} {}",
        Timestamp::now(),
        record.level(),
        record.target()
    )?;
    let context = RequestContext::current();
    if let Some(RequestContext { request_id, .. }) = &context {
        write!(out, " [{request_id}]")?;
    }
    write!(out, " {}", record.args())?;
    if let Some(trace_id) = context.and_then(|context| context.trace_id) {
        write!(out, " trace_id={trace_id}")?;
    }
    if let Some(reason) = reason(record) {
        write!(out, " reason={reason:?}")?;
    }
    writeln!(out)
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut line = JsonLine::new(record.level(), record.target(), record.args())?;
    if let Some(reason) = reason(record) {
        line.push("reason", reason)?;
    }
    out.write_all(&line.finish())
}

/// Returns the reason why a token was refused. No other key-value pair is logged.
fn reason<'a>(record: &'a Record<'_>) -> Option<&'a str> {
    record.key_values().get("reason".into())?.to_borrowed_str()
}
