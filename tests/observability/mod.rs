//! Observability: request ids, the log, metrics and readiness.

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

/// Starts the service and waits for the access line of a first request, so that all later lines are caused by
/// the test.
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
    wait::until(Duration::from_secs(5), logged).expect("the request should have an access line");
    app
}

/// Parses the lines of a log, each of which must be a JSON object.
#[track_caller]
fn objects(log: &str) -> Vec<Value> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(object @ Value::Object(_)) => object,
        Ok(other) => panic!("not an object: {other}"),
        Err(error) => panic!("not JSON: {error}: {line:?}"),
    };
    // `str::lines` would also remove a carriage return at the end of a line, and thereby hide it.
    log.split_terminator('\n').map(parse).collect()
}

fn is_access(line: &Value) -> bool {
    line.get("status").is_some() && line.get("method").is_some()
}

/// Returns the lines of a JSON log since `start` as soon as they include the access line of this request.
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
    found.unwrap_or_else(|| {
        panic!(
            "the request {request_id} has no access line: {}",
            &app.log()[start..]
        )
    })
}
