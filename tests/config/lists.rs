//! Variables that contain a list, and the URL of the key set: its default, and how `check-config` shows it.

use rstest::rstest;
use serde_json::json;

use crate::support::cli::run;
use crate::support::token::claims_of;
use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn each_of_several_issuers_and_audiences_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env("JWT_ISSUER", "https://todo.example, https://preview.todo.example")
        .env("JWT_AUDIENCE", " todo-api,todo-preview ")
        .start();
    let ada = app.user("ada");
    for (issuer, audience, status) in [
        ("https://todo.example", json!("todo-api"), 200),
        ("https://preview.todo.example", json!("todo-preview"), 200),
        ("https://todo.example", json!(["other", "todo-preview"]), 200),
        (
            "https://todo.example, https://preview.todo.example",
            json!("todo-api"),
            401,
        ),
        ("http://localhost:3000", json!("todo-api"), 401),
        ("https://todo.example", json!("todo"), 401),
        ("", json!("todo-api"), 401),
    ] {
        let mut claims = ada.claims();
        claims["iss"] = json!(issuer);
        claims["aud"] = audience;
        let answer = ada.signed(&claims).get("/api/tasks");
        assert_eq!(answer.status, status, "{claims}: {answer}");
    }
}

#[rstest]
fn each_of_several_origins_is_allowed(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db)
        .env(
            "CORS_ALLOWED_ORIGINS",
            "https://todo.example , https://preview.todo.example:8443",
        )
        .start();
    for (origin, allowed) in [
        ("https://todo.example", true),
        ("https://preview.todo.example:8443", true),
        ("https://preview.todo.example", false),
        ("http://localhost:3000", false),
    ] {
        let answer = app
            .user("ada")
            .request("GET", "/api/tasks", &[("origin", origin)], b"");
        let shown = answer.header("access-control-allow-origin");
        assert_eq!(shown, allowed.then_some(origin), "{answer}");
    }
}

#[test]
fn a_printed_token_has_the_first_issuer_and_audience() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("JWT_ISSUER", "https://todo.example,https://preview.todo.example"),
        ("JWT_AUDIENCE", "todo-api,todo-preview"),
    ];
    let printed = run(folder.path(), &environment, &["token", "ada"]).expect_success();
    let claims = claims_of(printed.stdout.trim());
    assert_eq!(claims["iss"], "https://todo.example");
    assert_eq!(claims["aud"], "todo-api");
}

#[test]
fn the_default_key_set_url_is_that_of_better_auth() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    for (frontend, key_set) in [
        ("https://todo.example", "https://todo.example/api/auth/jwks"),
        ("https://todo.example/", "https://todo.example/api/auth/jwks"),
        (
            "https://todo.example:8443/auth",
            "https://todo.example:8443/auth/jwks",
        ),
        (
            "https://todo.example/api/auth/",
            "https://todo.example/api/auth/jwks",
        ),
    ] {
        let outcome = run(folder.path(), &[("BETTER_AUTH_URL", frontend)], &["check-config"]);
        let said = outcome.expect_success().stdout;
        let line = format!("\nBETTER_AUTH_JWKS_URL={key_set}\n");
        assert!(said.contains(&line), "{frontend}: {said}");
    }
}

#[test]
fn check_config_hides_secrets_in_the_key_set_url() {
    skip_at_a_deployment!();
    let folder = tempfile::tempdir().unwrap();
    for (url, shown) in [
        (
            "http://hunter1:hunter2@127.0.0.1:9/hunter3/jwks?key=hunter4#hunter5",
            "http://***@127.0.0.1:9/***/jwks?***#***",
        ),
        (
            "https://:hunter2@keys.example/jwks",
            "https://***@keys.example/jwks",
        ),
        (
            "https://keys.example:8443/.well-known/jwks.json",
            "https://keys.example:8443/.well-known/jwks.json",
        ),
    ] {
        let environment = [("BETTER_AUTH_JWKS_URL", url)];
        let checked = run(folder.path(), &environment, &["check-config"]).expect_success();
        let line = format!("\nBETTER_AUTH_JWKS_URL={shown}\n");
        assert!(checked.stdout.contains(&line), "{}", checked.stdout);
        assert!(
            !checked.everything().contains("hunter"),
            "{}",
            checked.everything()
        );
    }
}
