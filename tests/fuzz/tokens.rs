//! Damaged tokens, and correctly signed tokens with arbitrary headers and claims.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::request::Request;
use super::session::{Session, run_cases, start};
use super::text::{damaged, json, object_with, word};
use crate::support::app::SECRET;
use crate::support::token::{now, sign};
use crate::support::{Database, Postgres, Sqlite};

const CLAIMS: [&str; 16] = [
    "sub", "id", "user_id", "userId", "user", "session", "email", "name", "iat", "nbf", "iss", "aud", "jti",
    "sub", "email", "name",
];

const HEADERS: [&str; 10] = [
    r#"{"alg":"HS256"}"#,
    r#"{"alg":"HS256","typ":"JWT"}"#,
    r#"{"alg":"none"}"#,
    r#"{"alg":"EdDSA","kid":"k"}"#,
    r#"{"alg":"RS256","kid":"other"}"#,
    r#"{"alg":"ES256"}"#,
    r#"{"alg":"HS512"}"#,
    r#"{"alg":"HS256","crit":["exp"]}"#,
    r#"{"alg":"HS256","jku":"http://127.0.0.1:1/","kid":7}"#,
    "{}",
];

fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(HEADERS[0].to_owned()),
        2 => select(&HEADERS[..]).prop_map(str::to_owned),
        1 => json(),
        1 => object_with(&["alg", "typ", "kid", "crit", "jwk"]),
    ]
}

/// Generates claims that are mostly unexpired and otherwise arbitrary.
fn claims() -> impl Strategy<Value = String> {
    let in_time = object_with(&CLAIMS).prop_map(|object| {
        let expires = now() + 900;
        let rest = object.trim_start_matches('{');
        let comma = if rest == "}" { "" } else { "," };
        format!("{{\"exp\":{expires}{comma}{rest}")
    });
    let named = (word(), word(), word()).prop_map(|(user, email, name)| {
        let expires = now() + 900;
        serde_json::json!({ "sub": user, "email": email, "name": name, "exp": expires }).to_string()
    });
    prop_oneof![4 => in_time, 3 => named, 1 => json()]
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    let signed = |(header, claims): (String, String)| {
        sign(&header, &claims, hmac::HMAC_SHA256, SECRET.as_bytes()).into_bytes()
    };
    let signed = || (header(), claims()).prop_map(signed);
    prop_oneof![
        6 => signed(),
        2 => damaged(signed()),
        1 => "[A-Za-z0-9_=.+/ -]{0,300}".prop_map(String::into_bytes),
    ]
}

#[rstest]
fn arbitrary_tokens_cause_no_server_error(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = start(db);
    let requests = (token(), any::<bool>()).prop_map(|(mut token, create)| {
        // Control characters except tabs are removed, because the HTTP parser would refuse the header.
        token.retain(|byte| !b"\r\n\0".contains(byte) && (*byte >= 0x20 || *byte == b'\t') && *byte != 0x7f);
        let line = [b"Authorization: Bearer ", &token[..]].concat();
        let method = if create { "POST" } else { "GET" };
        let mut request = Request::get("/api/tasks", "");
        request.method = method.to_owned();
        request.headers = vec![line];
        if create {
            request.json(br#"{"title":"t"}"#.to_vec())
        } else {
            request
        }
    });
    let mut session = Session::with(&app);
    run_cases(&app, requests, |request| {
        let answer = session.send(&request);
        // A request head over the size limit is refused before the token is read.
        let expected = [200, 201, 401, 400, 431].contains(&answer.status);
        assert!(expected, "{answer}");
    });
}
