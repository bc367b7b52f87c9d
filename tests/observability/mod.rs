//! What an operator sees: request ids, the log, metrics, and whether the service is ready.

mod exposition;
mod hostile;
mod json_log;
mod metrics;
mod outage;
mod proxy;
mod readiness;
mod request_ids;
mod trace_ids;
mod unread;

use std::time::Duration;

use serde_json::Value;

use crate::support::app::Builder;
use crate::support::{TestApp, wait};

/// Starts it, and waits until the log has the last line that the start itself causes: what comes after
/// this comes of the test.
#[track_caller]
fn start_quietly(builder: Builder) -> TestApp {
    let app = builder.start();
    let marker = app.unique("started");
    let headers = [("x-request-id", marker.as_str())];
    app.anonymous()
        .request("GET", "/livez", &headers, b"")
        .expect(200);
    let logged = || {
        let log = app.log();
        log[log.find(&marker)?..].contains('\n').then_some(())
    };
    wait::until(Duration::from_secs(5), logged).expect("an access line");
    app
}

/// The log's lines as objects; every one must be one.
#[track_caller]
fn objects(log: &str) -> Vec<Value> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(object @ Value::Object(_)) => object,
        Ok(other) => panic!("no object: {other}"),
        Err(error) => panic!("no JSON: {error}: {line:?}"),
    };
    // `lines` would take a lone carriage return for part of a line; nothing else may split one either.
    log.split_terminator('\n').map(parse).collect()
}

fn is_access(line: &Value) -> bool {
    line.get("status").is_some() && line.get("method").is_some()
}

/// The lines of a JSON log from `start` on, once the access line of this request is among them.
#[track_caller]
fn lines_until_access(app: &TestApp, start: usize, request_id: &str) -> Vec<Value> {
    let found = wait::until(Duration::from_secs(5), || {
        let log = app.log();
        let whole = &log[start..log.rfind('\n').map_or(start, |end| end + 1).max(start)];
        let lines = objects(whole);
        let ended = lines
            .iter()
            .any(|line| is_access(line) && line["request_id"] == request_id);
        ended.then_some(lines)
    });
    found.unwrap_or_else(|| panic!("no access line of {request_id}: {}", &app.log()[start..]))
}
