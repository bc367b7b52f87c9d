//! The issuer rotates its key, or is unavailable at startup or later.

use std::time::Duration;

use rstest::rstest;

use super::issuer::Issuer;
use super::tokens::{assert_good, service_of};
use crate::support::wait;
use crate::support::{Database, Postgres, Sqlite};

/// How long the test waits for the service to fetch the keys again. The service waits 10 s between two fetches.
const NEXT_FETCH_TIMEOUT: Duration = Duration::from_mins(1);

#[rstest]
fn a_key_that_is_rotated_at_runtime_is_used(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    let bob = issuer.sign_up("Bob");
    let (old, unused) = (ada.token(), bob.token());
    assert_good(&app, &ada, &old);
    issuer.control("rotate");
    // The first request with the new key must succeed, although the service has not fetched that key yet.
    let new = ada.token();
    assert_good(&app, &ada, &new);
    // The issuer keeps the old key in the key set for 30 days.
    assert_good(&app, &ada, &old);
    assert_good(&app, &bob, &unused);
}

#[rstest]
fn an_issuer_that_is_down_at_startup_is_used_once_it_is_up(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let ada = issuer.sign_up("Ada");
    let (token, bridge_token) = (ada.token(), ada.bridge_token());
    issuer.control("down");
    let app = service_of(&issuer, db);
    let early = ada.calls(&app, &token).get("/api/tasks");
    early.assert_problem(503);
    assert!(early.header("retry-after").is_some(), "{early}");
    assert_good(&app, &ada, &bridge_token);
    wait::until(Duration::from_secs(5), || {
        app.log().contains("BETTER_AUTH_JWKS_URL").then_some(())
    })
    .expect("the log should name the variable");

    issuer.control("up");
    let found = wait::until(NEXT_FETCH_TIMEOUT, || {
        let answer = ada.calls(&app, &token).get("/api/tasks");
        assert!(matches!(answer.status, 200 | 503), "{answer}");
        (answer.status == 200).then_some(())
    });
    assert!(
        found.is_some(),
        "the issuer's keys were not fetched within {NEXT_FETCH_TIMEOUT:?}"
    );
    assert_good(&app, &ada, &token);
}

#[rstest]
fn the_last_good_keys_are_used_while_the_issuer_is_down(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    let bob = issuer.sign_up("Bob");
    let (token, never_seen, bridge_token) = (ada.token(), bob.token(), bob.bridge_token());
    assert_good(&app, &ada, &token);
    issuer.control("down");
    assert_good(&app, &ada, &token);
    assert_good(&app, &bob, &never_seen);
    assert_good(&app, &bob, &bridge_token);
}
