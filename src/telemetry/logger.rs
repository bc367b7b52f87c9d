//! The log: one line for one event, each with the id of the request that it belongs to.

use std::io::{self, Write};
use std::time::Duration;

use env_logger::Target;
use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Record};
use serde::ser::{SerializeMap, Serializer as _};

use super::context::RequestContext;
use super::log_writer::{Outlet, flush};
use super::metrics::METRICS;
use crate::config::{Config, LogFormat};
use crate::domain::Timestamp;

/// One answered request.
pub struct Answered<'a> {
    pub method: &'a str,
    /// The template, and not the path: `/api/tasks/{id}`.
    pub route: &'a str,
    pub status: u16,
    pub took: Duration,
    pub user: Option<&'a str>,
}

impl Answered<'_> {
    /// For the log and for the metrics.
    pub fn record(&self) {
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

pub fn start(config: &Config) -> io::Result<()> {
    let write = match config.log_format {
        LogFormat::Text => write_text,
        LogFormat::Json => write_json,
    };
    env_logger::Builder::new()
        // What actix has to say of clients' mistakes, and of its start, is said by us.
        .parse_filters(&format!(
            "actix_http=off,actix_server=warn,tokio_postgres=warn,{}",
            config.log_filter
        ))
        // Beyond these levels the HTTP client writes the key set's URL and the request's bytes, with whatever
        // secret is in them.
        .filter_module("ureq", LevelFilter::Info)
        .filter_module("ureq::run", LevelFilter::Info)
        .filter_module("ureq_proto", LevelFilter::Info)
        .filter_module("ureq_proto::util", LevelFilter::Info)
        .format(write)
        .target(Target::Pipe(Box::new(Outlet::open()?)))
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
        value.visit(Present(|value: Value<'_>| {
            Ok(write!(self.out, " {key}={value:?}")?)
        }))
    }
}

/// Straight into the line: of all that is done for a request beside its work, this was once the dearest.
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
        value.visit(Present(entry))
    }
}

/// What is not there leaves no trace in the line.
struct Present<F>(F);

impl<'v, F: FnMut(Value<'_>) -> Result<(), Error>> VisitValue<'v> for Present<F> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        (self.0)(value)
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
