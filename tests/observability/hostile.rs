//! Text from clients cannot break or forge a line of the log.

use rstest::rstest;
use serde_json::json;

use super::{is_access, lines_until_access, start_quietly};
use crate::support::token::{hs256, mint};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp, wait};
use std::time::Duration;

const FORGED: &str = "2026-01-01T00:00:00.000000Z INFO  access [forged] GET /api/tasks 200";

/// Returns user ids with which an attacker might try to write into the log.
fn hostile_ids(app: &TestApp) -> Vec<String> {
    let ids = [
        format!("a\n{FORGED}"),
        format!("a\r\n{FORGED}"),
        format!("a\r{FORGED}"),
        "\"quoted\" \\\" and {\"a\": 1}".to_owned(),
        "x\", \"status\": 200, \"y\": \"".to_owned(),
        "\u{1b}[2K\u{1b}[31mred\u{7}".to_owned(),
        format!("a\u{85}b\u{2028}{FORGED}"),
        "%s%n${jndi:ldap://x}".to_owned(),
        "\u{202e}desrever".to_owned(),
    ];
    ids.into_iter().map(|id| app.unique(&id)).collect()
}

#[rstest]
fn a_hostile_user_id_stays_within_its_json_member(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db).env("LOG_FORMAT", "json"));
    for id in hostile_ids(&app) {
        let user = app.user_with_id(&id);
        for contract in CONTRACTS {
            let start = app.log().len();
            let answer = user.get(&contract.tasks(&user)).expect(200);
            let lines = lines_until_access(&app, start, answer.request_id());
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(is_access(&lines[0]));
            assert_eq!(lines[0]["user_id"], id);
            assert_eq!(lines[0]["status"], 200);
        }
    }
    assert!(!app.log().lines().any(|line| line.starts_with(FORGED)));
}

#[rstest]
fn a_hostile_user_id_cannot_break_a_line_of_text(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db));
    for id in hostile_ids(&app) {
        let user = app.user_with_id(&id);
        for contract in CONTRACTS {
            let start = app.log().len();
            let answer = user.get(&contract.tasks(&user)).expect(200);
            assert_one_line(&app, start, answer.request_id());
        }
    }
}

#[rstest]
fn hostile_claims_of_a_refused_token_cannot_break_a_line_of_text(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start_quietly(TestApp::builder(db));
    let ada = app.user("ada");
    let text = format!("x\n{FORGED}\u{1b}[31m");
    let mut tokens = Vec::new();
    for claim in ["iss", "aud"] {
        let mut claims = ada.claims();
        claims[claim] = json!(text);
        tokens.push(hs256(&claims, app.secret()));
        claims[claim] = json!([text, text]);
        tokens.push(hs256(&claims, app.secret()));
    }
    for header in [
        json!({ "alg": text }),
        json!({ "alg": "HS256", "kid": text, "crit": [text] }),
        json!({ "alg": "EdDSA", "kid": text }),
        json!({ "alg": "ES256", "kid": text, "typ": text }),
    ] {
        tokens.push(mint(&header, &ada.claims(), app.secret()));
    }
    for token in tokens {
        let start = app.log().len();
        let answer = app.anonymous().with_token(&token).get("/api/tasks");
        assert!([401, 503].contains(&answer.status), "{answer}");
        assert_one_line(&app, start, answer.request_id());
    }
}

/// Checks that every line since `start` belongs to this request and contains no control characters, and that
/// exactly one of these lines is the access line.
#[track_caller]
fn assert_one_line(app: &TestApp, start: usize, request_id: &str) {
    let access = format!(" access [{request_id}] ");
    wait::until(Duration::from_secs(5), || {
        let log = app.log();
        let end = log[start..].find(&access)?;
        log[start + end..].contains('\n').then_some(())
    })
    .expect("the request should have an access line");
    let log = app.log();
    for line in log[start..].split_terminator('\n') {
        assert!(
            !line
                .chars()
                .any(|c| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c)),
            "{line:?}"
        );
        assert!(!line.starts_with(FORGED), "{line:?}");
        let of_this_request = line.contains(&format!("[{request_id}]"));
        assert!(
            of_this_request,
            "the line does not belong to the request: {line:?}"
        );
    }
    assert_eq!(log[start..].matches(&access).count(), 1);
}
