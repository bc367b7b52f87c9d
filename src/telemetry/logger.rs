//! The log: one line per event, with the id of the request that caused it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env_logger::Target;
use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Record};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer as _};

use super::context::RequestContext;
use super::log_writer::{LogWriter, flush};
use super::metrics::METRICS;
use crate::config::{Config, LogFormat};
use crate::domain::Timestamp;

static IS_JSON: AtomicBool = AtomicBool::new(false);

pub struct CompletedRequest<'a> {
    pub method: &'a str,
    /// The route's pattern, such as `/api/tasks/{id}`, not the path.
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
            if log::log_enabled!(target: "access", Level::Info) {
                let _ = LogWriter.write(&self.json_line());
            }
            return;
        }
        log::info!(
            target: "access",
            method = self.method,
            route = self.route,
            status = self.status,
            duration_us = self.duration.as_micros() as u64,
            user_id = self.user_id;
            "{} {} {}", self.method, self.route, self.status
        );
    }

    /// The same line as `write_json` would make of the record, in a third of the instructions: there is one for each
    /// request, and its keys are always the same.
    fn json_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(512);
        line.extend_from_slice(b"{\"time\":\"");
        line.extend_from_slice(&Timestamp::now().text());
        line.extend_from_slice(b"\",\"level\":\"INFO\",\"target\":\"access\"");
        if let Some(RequestContext { request_id, trace_id }) = RequestContext::current() {
            push_entry(&mut line, "request_id", &*request_id);
            if let Some(trace_id) = trace_id {
                push_entry(&mut line, "trace_id", &trace_id);
            }
        }
        let Self {
            method,
            route,
            status,
            ..
        } = self;
        push_entry(
            &mut line,
            "message",
            format!("{method} {route} {status}").as_str(),
        );
        push_entry(&mut line, "method", method);
        push_entry(&mut line, "route", route);
        push_entry(&mut line, "status", status);
        push_entry(&mut line, "duration_us", &(self.duration.as_micros() as u64));
        if let Some(user_id) = self.user_id {
            push_entry(&mut line, "user_id", user_id);
        }
        line.extend_from_slice(b"}\n");
        line
    }
}

fn push_entry(line: &mut Vec<u8>, key: &str, value: &(impl Serialize + ?Sized)) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(b"\":");
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(line, value);
}

pub fn start(config: &Config) -> io::Result<()> {
    IS_JSON.store(matches!(config.log_format, LogFormat::Json), Ordering::Relaxed);
    let write = match config.log_format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    };
    env_logger::Builder::new()
        // The service itself logs its start and clients' mistakes, so actix need not.
        .parse_filters(&format!(
            "actix_http=off,actix_server=warn,tokio_postgres=warn,{}",
            config.log_filter
        ))
        // At its debug and trace levels, the HTTP client logs the key set's URL and the bytes of requests, which may
        // contain secrets.
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
    // The message of an access log line already contains its first three values.
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
        // The Debug format escapes line breaks, so that a user id cannot forge a log line.
        value.visit(SkipNull(|value: Value<'_>| {
            Ok(write!(self.out, " {key}={value:?}")?)
        }))
    }
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut text = Vec::with_capacity(384);
    let mut line = serde_json::Serializer::new(&mut text);
    let mut line = line.serialize_map(None)?;
    line.serialize_entry("time", &Timestamp::now())?;
    line.serialize_entry("level", record.level().as_str())?;
    line.serialize_entry("target", record.target())?;
    if let Some(RequestContext { request_id, trace_id }) = RequestContext::current() {
        line.serialize_entry("request_id", &*request_id)?;
        if let Some(trace_id) = trace_id {
            line.serialize_entry("trace_id", &trace_id)?;
        }
    }
    line.serialize_entry("message", record.args())?;
    record
        .key_values()
        .visit(&mut JsonPairs(&mut line))
        .map_err(io::Error::other)?;
    line.end()?;
    text.push(b'\n');
    out.write_all(&text)
}

struct JsonPairs<'a, M>(&'a mut M);

impl<'kvs, M: SerializeMap<Error = serde_json::Error>> VisitSource<'kvs> for JsonPairs<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let entry = |value: Value<'_>| {
            let entry = self.0.serialize_entry(key.as_str(), &value);
            entry.map_err(Error::boxed)
        };
        value.visit(SkipNull(entry))
    }
}

/// Leaves out values that are absent, such as the user id of a request without a token.
struct SkipNull<F>(F);

impl<'v, F: FnMut(Value<'_>) -> Result<(), Error>> VisitValue<'v> for SkipNull<F> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        (self.0)(value)
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
