//! `inspect-token`: what the service would make of a token, and what to do about it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::app::SECRET;
use crate::support::cli;
use crate::support::token::{base64url, hs256, now, sign};

/// What it says on standard output, and whether it calls that a success.
fn inspect(token: &str) -> (bool, String) {
    let folder = tempdir().unwrap();
    let mut command = cli::command(folder.path());
    command
        .arg("inspect-token")
        .env("BETTER_AUTH_SECRET", SECRET)
        // Nobody listens there.
        .env("BETTER_AUTH_URL", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let bare = token.trim().trim_start_matches("Authorization: Bearer ");
    assert!(!said.contains(bare), "it never prints the token");
    assert!(
        !said.contains(bare.rsplit('.').next().unwrap()),
        "nor its signature"
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
fn each_common_mistake_is_told_with_what_to_do() {
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
        (hs256(&verification, SECRET), "e-mail verification"),
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
            "{said:?} lacks {words:?}"
        );
    }
}

#[test]
fn where_there_is_no_secret_none_is_made_to_compare_with() {
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
