//! Sends the tokens of `bad_tokens` to every route that requires a token, and those of `good_tokens` to the lists of
//! both contracts. Further tests check when a token is valid and where in a request it is accepted.

use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::bad_tokens::{Bad, bad_tokens, claims, tokens_of_the_other_key_class};
use super::good_tokens::good_tokens;
use crate::support::task::id;
use crate::support::token::{hs256, mint, now};
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Response, Sqlite, TestApp, wait};

/// Returns every route of both contracts, and requests that get 404 or 405 with a valid token: a client without one
/// must not learn which paths and methods exist.
fn guarded(user: &Actor, task: i64) -> Vec<(&'static str, String)> {
    let mut routes: Vec<_> = CONTRACTS
        .iter()
        .flat_map(|contract| contract.routes(user, task))
        .collect();
    routes.push(("GET", "/api/unknown".to_owned()));
    routes.push(("POST", "/api/".to_owned()));
    routes.push(("PATCH", Contract::A.tasks(user)));
    routes.push(("GET", Contract::A.task(user, "abc")));
    routes
}

fn ask(app: &TestApp, method: &str, path: &str, authorization: &[String]) -> Response {
    let mut headers: Vec<(&str, &str)> = authorization
        .iter()
        .map(|value| ("authorization", value.as_str()))
        .collect();
    headers.push(("content-type", "application/json"));
    let body: &[u8] = match method {
        "POST" | "PUT" => br#"{"title":"intruder"}"#,
        _ => b"",
    };
    app.anonymous().request(method, path, &headers, body)
}

#[rstest]
fn every_bad_token_is_refused_on_every_guarded_route(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Ada's");
    let table = bad_tokens(&app);
    assert!(table.len() >= 40, "{}", table.len());
    for (method, path) in guarded(&ada, id(&task)) {
        for Bad { why, authorization } in &table {
            let answer = ask(&app, method, &path, authorization);
            assert_eq!(answer.status, 401, "{why}: {answer}");
            if method == "HEAD" {
                assert!(answer.header("www-authenticate").is_some(), "{why}: {answer}");
            } else {
                answer.assert_unauthorized();
            }
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn the_client_is_not_told_why_a_token_was_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let table = bad_tokens(&app);
    let answers = table
        .iter()
        .filter(|bad| !bad.authorization.is_empty())
        .map(|bad| ask(&app, "GET", "/api/tasks", &bad.authorization).body_without_request_id());
    let mut answers: Vec<String> = answers.collect();
    answers.sort();
    answers.dedup();
    // A header without a bearer token may get another response than an invalid token, but all invalid tokens must
    // get the same response.
    assert!(answers.len() <= 2, "{answers:#?}");
    for word in ["signature", "HS256", "secret", "issuer"] {
        assert!(!answers.concat().contains(word), "{word}: {answers:#?}");
    }
}

#[rstest]
fn a_key_of_one_class_is_never_used_for_the_other(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for Bad { why, authorization } in tokens_of_the_other_key_class(&app) {
        let answer = ask(&app, "GET", &Contract::A.tasks(&ada), &authorization);
        assert!(matches!(answer.status, 401 | 503), "{why}: {answer}");
        answer.assert_problem(answer.status);
    }
}

#[rstest]
fn every_good_token_is_accepted_as_its_user(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for good in good_tokens(&app) {
        let headers = [("authorization", good.authorization.as_str())];
        let user = app.user_with_id(&good.user);
        let mut seen = Vec::new();
        for contract in CONTRACTS {
            let path = contract.tasks(&user);
            let body = br#"{"title":"mine"}"#;
            let json = ("content-type", "application/json");
            let answer = app.anonymous().request("POST", &path, &[headers[0], json], body);
            assert_eq!(answer.status, 201, "{}: {answer}", good.why);
            let task = answer.json();
            assert_eq!(task["user_id"], *good.user, "{}", good.why);
            seen.push(id(&task));
            let answer = app.anonymous().request("GET", &path, &headers, b"");
            assert_eq!(answer.status, 200, "{}: {answer}", good.why);
        }
        // A token that names the same user in `sub` must give access to these tasks.
        for task in seen {
            user.get(&Contract::A.task(&user, task)).expect(200);
        }
    }
}

#[rstest]
fn an_expired_token_is_accepted_for_five_more_seconds_at_most(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let mut claims = ada.claims();
    claims["exp"] = json!(now() - 2);
    // The test requires only that the leeway is at most 5 seconds, so both responses are correct.
    let answer = ada.signed(&claims).get("/api/tasks");
    assert!(matches!(answer.status, 200 | 401), "{answer}");

    claims["exp"] = json!(now() + 1);
    let soon = ada.signed(&claims);
    soon.get("/api/tasks").expect(200);
    // A token that the service has already accepted must also be refused once it has expired.
    let mut last = now();
    let refused = || {
        let sent = now();
        let good = soon.get("/api/tasks").status == 200;
        if good {
            last = sent;
        }
        (!good).then_some(())
    };
    wait::until(Duration::from_secs(10), refused).expect("a known token should expire");
    assert!(last <= claims["exp"].as_i64().unwrap() + 5);
}

#[rstest]
fn a_token_is_refused_before_its_nbf(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let mut claims = ada.claims();
        claims["nbf"] = json!(now() + 10);
        ada.signed(&claims)
            .get(&contract.tasks(&ada))
            .assert_unauthorized();
    }
}

#[rstest]
fn a_token_outside_of_the_authorization_header_is_ignored(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let token = hs256(&claims(&app, json!({})), app.secret());
    for headers in [
        ("cookie", format!("better-auth.session_data={token}")),
        (
            "cookie",
            format!("better-auth.session_token={token}; token={token}"),
        ),
        ("x-authorization", format!("Bearer {token}")),
        ("proxy-authorization", format!("Bearer {token}")),
    ] {
        let headers = [(headers.0, headers.1.as_str())];
        app.anonymous()
            .request("GET", "/api/tasks", &headers, b"")
            .assert_unauthorized();
    }
    for query in ["token", "access_token", "authorization"] {
        let path = format!("/api/tasks?{query}={token}");
        app.anonymous().get(&path).assert_unauthorized();
    }
}

#[rstest]
fn a_key_url_in_a_token_header_causes_no_fetch(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    for algorithm in ["HS256", "RS256", "EdDSA"] {
        for name in ["jku", "x5u"] {
            for secret in [
                app.secret(),
                "another secret that is long enough, but not the one",
            ] {
                let header = json!({ "alg": algorithm, "kid": "k", name: url });
                let token = mint(&header, &claims(&app, json!({})), secret);
                app.anonymous().with_token(&token).get("/api/tasks");
            }
        }
    }
    assert!(
        listener.accept().is_err(),
        "the service connected to the address in the token"
    );
}

#[rstest]
fn every_call_needs_a_token(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("Ada's");
    app.anonymous().get("/api/tasks").assert_unauthorized();
    ada.get("/api/tasks").expect(200);
    app.anonymous()
        .get(&Contract::B.tasks(&ada))
        .assert_unauthorized();
}
