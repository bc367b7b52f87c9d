//! The log explains refusals to the operator, contains no secrets, and has the configured format.

use rstest::rstest;
use serde_json::json;

use super::bad_tokens::bad_tokens;
use super::good_tokens::good_tokens;
use crate::support::app::SECRET;
use crate::support::database::DATABASE_PASSWORD;
use crate::support::token::{hs256, mint, now};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp, wait};
use std::time::Duration;

#[rstest]
fn no_token_secret_or_password_is_ever_logged(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).env("RUST_LOG", "trace").start();
    let ada = app.user("ada");
    let mut given = vec![ada.token.clone().unwrap()];
    for contract in CONTRACTS {
        ada.post(&contract.tasks(&ada), json!({ "title": "Buy milk" }))
            .expect(201);
        ada.post(&contract.tasks(&ada), json!({ "title": 5 }))
            .assert_bad_input(contract);
        ada.get(&contract.tasks(&ada)).expect(200);
        ada.get(&contract.task(&ada, "abc")).assert_problem(404);
    }
    for good in good_tokens(&app) {
        let headers = [("authorization", good.authorization.as_str())];
        app.anonymous()
            .request("GET", "/api/tasks", &headers, b"")
            .expect(200);
        given.push(good.authorization);
    }
    for bad in bad_tokens(&app) {
        let headers: Vec<_> = bad
            .authorization
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        app.anonymous()
            .request("GET", "/api/tasks", &headers, b"")
            .expect(401);
        given.extend(bad.authorization);
    }
    let marker = app.unique("marker");
    let headers = [("x-request-id", marker.as_str())];
    ada.request("GET", "/api/tasks", &headers, b"").expect(200);
    wait::until(Duration::from_secs(5), || {
        app.log().contains(&marker).then_some(())
    })
    .expect("the last request should appear in the log");

    let log = app.log();
    assert!(
        log.len() > 10_000,
        "the trace log should be longer than {} bytes",
        log.len()
    );
    assert!(!log.contains(SECRET), "the log contains the secret");
    assert!(
        !log.contains(DATABASE_PASSWORD),
        "the log contains the database password"
    );
    for authorization in given {
        for part in authorization
            .split(['.', ' ', '"', ','])
            .filter(|part| part.len() >= 20)
        {
            // The header that most tokens share is checked below. Parts shorter than 20 characters are skipped,
            // because they may appear in the log by chance.
            let common = part.starts_with("eyJhbGciOi");
            assert!(
                common || !log.contains(part),
                "the log contains a part of a token: {part}"
            );
        }
    }
    assert!(
        !log.contains("eyJhbGciOi"),
        "the log contains the header of a token"
    );
}

#[rstest]
fn a_refusal_is_explained_to_the_operator(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let mut expired = ada.claims();
    expired["exp"] = json!(now() - 3600);
    let mut nobody = ada.claims();
    nobody.as_object_mut().unwrap().remove("sub");
    let link = json!({ "email": "a@b.c", "userId": ada.id, "iat": now(), "exp": now() + 60 });
    let mut bound = ada.claims();
    bound["cnf"] = json!({ "jkt": "thumbprint" });
    let mut nowhere = ada.claims();
    nowhere["iss"] = json!("");
    let other = "another secret that is long enough, but not the one";
    for (token, words) in [
        (hs256(&expired, app.secret()), &["expired"][..]),
        (hs256(&ada.claims(), other), &["signature", "BETTER_AUTH_SECRET"]),
        (hs256(&nobody, app.secret()), &["user id", "sub"]),
        (
            hs256(&link, app.secret()),
            &["token of a Better Auth e-mail link"],
        ),
        // For an e-mail link with another secret, the advice to use the frontend's secret would be wrong.
        (hs256(&link, other), &["token of a Better Auth e-mail link"]),
        (hs256(&bound, app.secret()), &["bound to its holder's key (cnf)"]),
        (hs256(&nowhere, app.secret()), &["set baseURL"]),
        (
            mint(
                &json!({ "alg": "HS256", "typ": "at+jwt" }),
                &ada.claims(),
                app.secret(),
            ),
            &["its typ is \"at+jwt\""],
        ),
        (
            mint(&json!({ "alg": "none" }), &ada.claims(), app.secret()),
            &["none"],
        ),
        (
            "bYw0Ehm3b8GZIbkJ3mMC5DL4QgCNuSlh".to_owned(),
            &["session token", "opaque"],
        ),
    ] {
        let before = app.log().len();
        let answer = app.anonymous().with_token(&token).get("/api/tasks");
        answer.assert_unauthorized();
        // One of the words is sufficient, so that the wording of the message may change.
        let explained = || {
            let log = app.log()[before..].to_lowercase();
            words
                .iter()
                .any(|word| log.contains(&word.to_lowercase()))
                .then_some(())
        };
        let found = wait::until(Duration::from_secs(5), explained);
        assert!(found.is_some(), "none of {words:?} in:\n{}", &app.log()[before..]);
    }
}

#[rstest]
fn every_line_of_a_request_has_its_id(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let marker = app.unique("marker");
    let headers = [("x-request-id", marker.as_str())];
    app.anonymous()
        .request("GET", "/api/tasks", &headers, b"")
        .expect(401);
    wait::until(Duration::from_secs(5), || {
        app.log().contains(&marker).then_some(())
    })
    .expect("the refusal should be logged with the request id");
}

#[rstest]
fn a_json_log_is_one_object_a_line(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db)
        .env("LOG_FORMAT", "json")
        .env("RUST_LOG", "debug")
        .start();
    let ada = app.user("ada");
    ada.post("/api/tasks", json!({ "title": "a \"quoted\"\nline" }))
        .expect(201);
    ada.with_token("x").get("/api/tasks").expect(401);
    assert!(app.stop());
    let log = app.output().stderr;
    assert!(!log.is_empty());
    for line in log.lines() {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert!(object.is_object(), "{line}");
    }
}
