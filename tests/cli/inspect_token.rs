//! `inspect-token` tells whether the service would accept a token, and if not, what to do about it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::app::SECRET;
use crate::support::cli;
use crate::support::token::{base64url, hs256, now, sign};

/// Runs `inspect-token`, checks that the output contains neither the token nor its signature, and returns whether the
/// token was accepted, and the output.
fn inspect(token: &str) -> (bool, String) {
    let folder = tempdir().unwrap();
    let mut command = cli::command(folder.path());
    command
        .arg("inspect-token")
        .env("BETTER_AUTH_SECRET", SECRET)
        // No process listens on this port.
        .env("BETTER_AUTH_URL", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let bare = token.trim().trim_start_matches("Authorization: Bearer ");
    assert!(!said.contains(bare), "the output contains the token");
    assert!(
        !said.contains(bare.rsplit('.').next().unwrap()),
        "the output contains the signature"
    );
    (output.status.success(), said)
}

fn claims() -> Value {
    json!({"sub": "ada", "email": "ada@example.com", "iat": now(), "exp": now() + 600})
}

#[test]
fn a_good_token_is_accepted_as_its_user() {
    for text in [
        hs256(&claims(), SECRET),
        format!("Authorization: Bearer {}\n", hs256(&claims(), SECRET)),
    ] {
        let (accepted, said) = inspect(&text);
        assert!(accepted, "{said}");
        assert!(said.contains("HS256") && said.contains("\"ada\"") && said.contains("ada@example.com"));
    }
}

#[test]
fn each_common_mistake_is_explained_with_a_solution() {
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        hs256(&claims, SECRET)
    };
    let hmac = aws_lc_rs::hmac::HMAC_SHA256;
    let eddsa = sign(
        r#"{"alg":"EdDSA","kid":"k"}"#,
        &claims().to_string(),
        hmac,
        b"any",
    );
    let of_type = |typ: &str| {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        sign(&header, &claims().to_string(), hmac, SECRET.as_bytes())
    };
    let link = json!({"email": "ada@example.com", "userId": "ada", "iat": now(), "exp": now() + 600});
    let verification = json!({"email": "ada@example.com", "iat": now(), "exp": now() + 600});
    for (token, words) in [
        (hs256(&claims(), &SECRET.replace('d', "e")), "BETTER_AUTH_SECRET"),
        (with("exp", json!(now() - 60)), "expired 6"),
        (with("iat", json!(now() + 600)), "clock"),
        (
            with("iss", json!("http://elsewhere")),
            "expected \"http://127.0.0.1:9\"",
        ),
        (with("aud", json!("elsewhere")), "expected \"http://127.0.0.1:9\""),
        (with("iss", json!("")), "set baseURL"),
        (hs256(&verification, SECRET), "e-mail verification"),
        (
            hs256(&link, SECRET),
            "this is the token of a Better Auth e-mail link, not an API token",
        ),
        (
            with("updateTo", json!("eve@example.com")),
            "this is the token of a Better Auth e-mail link, not an API token",
        ),
        (
            with("cnf", json!({"jkt": "k"})),
            "bound to its holder's key (cnf)",
        ),
        (of_type("at+jwt"), "OAuth access token"),
        (of_type("better-auth.session-cache+jwt"), "cookie cache"),
        (eddsa, "no key set answers at http://127.0.0.1:9/api/auth/jwks"),
        (base64url(b"an opaque session token"), "session token"),
        (
            sign(
                r#"{"alg":"HS512"}"#,
                &claims().to_string(),
                aws_lc_rs::hmac::HMAC_SHA512,
                SECRET.as_bytes(),
            ),
            "HS512",
        ),
    ] {
        let (accepted, said) = inspect(&token);
        assert!(!accepted, "{said}");
        assert!(
            said.starts_with("refused: ") && said.contains(words),
            "{said:?} should contain {words:?}"
        );
    }
}

#[test]
fn control_characters_in_a_token_do_not_reach_the_terminal() {
    let attack = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\naccepted: \u{9b}31m \u{202e}";
    let of = |name: &str| {
        let mut claims = claims();
        claims[name] = json!(attack);
        hs256(&claims, SECRET)
    };
    let odd_header = json!({"alg": attack, "typ": "JWT"}).to_string();
    let odd_type = json!({"alg": "HS256", "typ": attack}).to_string();
    let signed = |header: &str| {
        let hmac = aws_lc_rs::hmac::HMAC_SHA256;
        sign(header, &claims().to_string(), hmac, SECRET.as_bytes())
    };
    let tokens = ["sub", "email", "name", "iss", "aud"].map(of);
    for token in tokens.into_iter().chain([signed(&odd_header), signed(&odd_type)]) {
        let (_, said) = inspect(&token);
        let raw = said
            .chars()
            .filter(|c| *c != '\n')
            .find(|c| c.is_control() || *c == '\u{202e}');
        assert_eq!(raw, None, "{said:?}");
        assert!(
            !said.lines().skip(1).any(|line| line.starts_with("accepted")),
            "{said:?}"
        );
    }
}

#[test]
fn without_a_secret_none_is_created() {
    let folder = tempdir().unwrap();
    let outcome = cli::run(folder.path(), &[], &["inspect-token"]);
    assert!(!outcome.success);
    assert!(
        outcome.stderr.contains("data/todo.db.secret") && outcome.stderr.contains("where the service runs"),
        "{}",
        outcome.stderr
    );
    assert!(!folder.path().join("data").exists());
}
