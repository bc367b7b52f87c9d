//! Tokens and cookies of Better Auth that the service refuses. The log explains each refusal.

use std::time::Duration;

use rstest::rstest;

use super::issuer::{Issuer, Session};
use super::tokens::{assert_good, service_of};
use crate::support::{Database, Postgres, Sqlite, TestApp, wait};

/// Checks that a request with the token gets 401, and that the log then has a line with all of these words and does
/// not contain the token.
#[track_caller]
pub fn assert_refused(app: &TestApp, session: &Session, token: &str, words: &[&str]) {
    let before = app.log().len();
    session.calls(app, token).get("/api/tasks").assert_unauthorized();
    let explained = wait::until(Duration::from_secs(5), || {
        let log = app.log();
        let mut lines = log[before..].lines();
        lines
            .any(|line| words.iter().all(|word| line.contains(word)))
            .then_some(())
    });
    assert!(
        explained.is_some(),
        "the log has no line with {words:?}:\n{}",
        &app.log()[before..]
    );
    assert!(!app.log().contains(token), "the token is in the log");
}

#[rstest]
fn an_opaque_session_token_is_refused_and_the_log_identifies_it(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    let words = ["opaque", "session token", "/api/auth/token"];
    assert_refused(&app, &ada, &ada.opaque_token, &words);
    // The cookie contains the same token with a signature. It is percent-encoded, as a user copies it from a browser.
    assert_refused(&app, &ada, ada.cookie("better-auth.session_token"), &words);
    assert_good(&app, &ada, &ada.token());
}

#[rstest]
fn a_session_cache_signed_by_the_key_set_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--session-cache", "jwks"]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    let words = ["another kind", "better-auth.session-cache+jwt", "/api/auth/token"];
    assert_refused(&app, &ada, ada.cookie("better-auth.session_data"), &words);
    assert_good(&app, &ada, &ada.token());
}

#[rstest]
fn a_token_of_another_issuer_is_refused(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.token());
    let elsewhere = Issuer::start(&[]);
    let stranger = elsewhere.sign_up("Ada");
    assert_refused(&app, &stranger, &stranger.token(), &["key", issuer.url.as_str()]);
}

#[rstest]
fn a_token_that_has_expired_is_refused_and_the_next_one_is_good(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    issuer.control("expired");
    assert_refused(&app, &ada, &ada.token(), &["expired"]);
    issuer.control("fresh");
    assert_good(&app, &ada, &ada.token());
}

#[rstest]
fn an_unsupported_algorithm_is_refused_and_named_in_the_log(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--alg", "ES384"]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_refused(&app, &ada, &ada.token(), &["ES384"]);
    assert_good(&app, &ada, &ada.bridge_token());
}
