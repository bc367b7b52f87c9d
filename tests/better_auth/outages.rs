//! The issuer changes its key, and is away: at the start, and later.

use std::time::Duration;

use super::issuer::Issuer;
use super::tokens::{assert_good, service_of};
use crate::support::wait;

/// The cooldown of 10 s is the longest that the service may leave an issuer alone; and a busy machine.
const NEXT_FETCH: Duration = Duration::from_secs(15);

on_both_databases!(
    fn a_key_that_is_rotated_while_all_runs_is_taken_up(db: Database) {
        let issuer = Issuer::start(&[]);
        let app = service_of(&issuer, db);
        let ada = issuer.sign_up("Ada");
        let (old, unused) = (ada.token(), ada.token());
        assert_good(&app, &ada, &old);
        issuer.is_told("rotate");
        // By the first call: the new key signs at once, and nobody's call may fail for it.
        let new = ada.token();
        assert_good(&app, &ada, &new);
        // The old key stays in the set for 30 days.
        assert_good(&app, &ada, &old);
        assert_good(&app, &ada, &unused);
    }

    fn an_issuer_that_is_down_at_the_start_is_found_when_it_comes(db: Database) {
        let issuer = Issuer::start(&[]);
        let ada = issuer.sign_up("Ada");
        let (token, bridge_token) = (ada.token(), ada.bridge_token());
        issuer.is_told("down");
        let app = service_of(&issuer, db);
        let early = ada.calls(&app, &token).get("/api/tasks");
        early.assert_problem(503);
        assert!(early.header("retry-after").is_some(), "{early}");
        assert_good(&app, &ada, &bridge_token);
        wait::until(Duration::from_secs(5), || {
            app.log().contains("BETTER_AUTH_JWKS_URL").then_some(())
        })
        .expect("the log says what to set");

        issuer.is_told("up");
        let found = wait::until(NEXT_FETCH, || {
            let answer = ada.calls(&app, &token).get("/api/tasks");
            assert!(matches!(answer.status, 200 | 503), "{answer}");
            (answer.status == 200).then_some(())
        });
        assert!(found.is_some(), "the issuer is not found within {NEXT_FETCH:?}");
        assert_good(&app, &ada, &token);
    }

    fn the_last_good_keys_serve_while_the_issuer_is_away(db: Database) {
        let issuer = Issuer::start(&[]);
        let app = service_of(&issuer, db);
        let ada = issuer.sign_up("Ada");
        let bob = issuer.sign_up("Bob");
        let (token, never_seen, bridge_token) = (ada.token(), bob.token(), bob.bridge_token());
        assert_good(&app, &ada, &token);
        issuer.is_told("down");
        assert_good(&app, &ada, &token);
        assert_good(&app, &bob, &never_seen);
        assert_good(&app, &bob, &bridge_token);
    }
);
