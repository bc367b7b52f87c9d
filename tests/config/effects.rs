//! The effect of valid values: secrets of the minimum length, issuer and audience, and the rate limit.

use rstest::rstest;
use serde_json::json;

use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_secret_of_32_bytes_is_long_enough(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    for secret in [
        "exactly-32-bytes-of-secret-12345",
        "ünïcödé in zweiunddreißig byt",
    ] {
        assert!(secret.len() >= 32);
        let app = TestApp::builder(db).env("BETTER_AUTH_SECRET", secret).start();
        app.user("ada").get("/api/tasks").expect(200);
    }
}

#[rstest]
fn the_issuer_and_the_audience_can_be_configured(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("BETTER_AUTH_URL", "https://todo.example")
        .env("JWT_ISSUER", "https://issuer.example")
        .env("JWT_AUDIENCE", "todo-api")
        .start();
    let ada = app.user("ada");
    for (issuer, audience, status) in [
        ("https://issuer.example", "todo-api", 200),
        ("https://todo.example", "todo-api", 401),
        ("https://issuer.example", "https://todo.example", 401),
    ] {
        let mut claims = ada.claims();
        claims["iss"] = json!(issuer);
        claims["aud"] = json!(audience);
        let answer = ada.signed(&claims).get("/api/tasks");
        assert_eq!(answer.status, status, "{issuer} {audience}: {answer}");
    }
    ada.get("/api/tasks").expect(200);
}

#[rstest]
fn issuer_and_audience_are_the_origin_of_the_frontends_url(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("BETTER_AUTH_URL", "https://todo.example/app/")
        .start();
    let ada = app.user("ada");
    let mut claims = ada.claims();
    claims["iss"] = json!("https://todo.example");
    claims["aud"] = json!("https://todo.example");
    ada.signed(&claims).get("/api/tasks").expect(200);
    claims["aud"] = json!("http://localhost:3000");
    ada.signed(&claims).get("/api/tasks").assert_unauthorized();
}

#[rstest]
fn a_rate_limit_applies_to_each_user_separately(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).env("RATE_LIMIT_PER_MINUTE", "5").start();
    let ada = app.user("ada");
    let statuses: Vec<u16> = (0..12).map(|_| ada.get("/api/tasks").status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    // While the calls were sent, the limit may have allowed one or two more of them, but not all seven.
    assert!(
        statuses[5..].iter().filter(|status| **status == 429).count() >= 5,
        "{statuses:?}"
    );
    let refused = (0..3)
        .map(|_| ada.get("/api/tasks"))
        .find(|answer| answer.status == 429);
    let refused = refused.expect("a call should be refused with 429");
    refused.assert_problem(429);
    let seconds: u32 = refused
        .header("retry-after")
        .expect("the response should have Retry-After")
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{refused}");
    app.user("bob").get("/api/tasks").expect(200);
}
