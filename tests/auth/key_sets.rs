//! Tokens that are verified with a key set: algorithm names, unknown keys in the set, tokens that the issuer
//! signed for other purposes, and secrets in the URL of the key set.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::deployment::frontend;
use crate::support::token::{base64url, mint};
use crate::support::{Actor, Database, Postgres, Sqlite, TestApp, wait};

struct Issuer {
    url: String,
    ed25519: Ed25519KeyPair,
    p521: EcdsaKeyPair,
}

impl Issuer {
    fn start() -> Self {
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let p521 = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        let x = base64url(ed25519.public_key().as_ref());
        let (px, py) = p521.public_key().as_ref()[1..].split_at(66);
        let (px, py) = (base64url(px), base64url(py));
        let keys = json!({ "keys": [
            "nonsense",
            { "kty": "AKP", "alg": "ML-DSA-44", "kid": "post-quantum", "pub": x },
            { "kty": "OKP", "crv": "Ed448", "alg": "Ed448", "kid": "ed448", "x": x },
            { "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "not on its curve", "x": py, "y": px },
            { "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "kid": "rfc9864", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "rfc8037", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "kid": "unnamed", "x": x },
            { "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "p521", "x": px, "y": py },
        ]});
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        // Nothing stops this thread. It ends with the test process.
        thread::spawn(move || {
            let body = keys.to_string();
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, ed25519, p521 }
    }

    fn service(&self, db: Database) -> TestApp {
        TestApp::builder(db)
            .env("BETTER_AUTH_JWKS_URL", &self.url)
            .start()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = match header["alg"] == "ES512" {
            true => self.p521.sign(&SystemRandom::new(), message.as_bytes()).unwrap(),
            false => self.ed25519.sign(message.as_bytes()),
        };
        format!("{message}.{}", base64url(signature.as_ref()))
    }
}

/// Returns the claims of a token with the issuer and audience that Better Auth's jwt plugin sets.
fn claims(user: &Actor) -> Value {
    let mut claims = user.claims();
    claims["iss"] = json!(frontend());
    claims["aud"] = json!(frontend());
    claims
}

#[rstest]
fn all_names_of_an_algorithm_work_and_unknown_keys_are_ignored(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start();
    let app = issuer.service(db);
    let ada = app.user("ada");
    for (algorithm, key, status) in [
        ("EdDSA", "rfc8037", 200),
        ("EdDSA", "rfc9864", 200),
        ("EdDSA", "unnamed", 200),
        ("Ed25519", "rfc8037", 200),
        ("Ed25519", "rfc9864", 200),
        ("Ed25519", "unnamed", 200),
        ("ES512", "p521", 200),
        // These are refused because the key is of another type, the algorithm is not supported, or the key is not
        // on its curve.
        ("ES512", "rfc8037", 401),
        ("EdDSA", "p521", 401),
        ("Ed448", "ed448", 401),
        ("ES512", "not on its curve", 401),
    ] {
        let header = json!({ "alg": algorithm, "kid": key });
        let answer = ada
            .with_token(&issuer.token(&header, &claims(&ada)))
            .get("/api/tasks");
        assert_eq!(answer.status, status, "{header}: {answer}\n{}", app.log());
    }
    let mut changed = issuer.token(&json!({ "alg": "ES512", "kid": "p521" }), &claims(&ada));
    let last = if changed.pop() == Some('A') { 'Q' } else { 'A' };
    changed.push(last);
    ada.with_token(&changed).get("/api/tasks").assert_unauthorized();
}

#[rstest]
fn a_token_for_another_purpose_is_refused_whichever_key_signed_it(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start();
    let app = issuer.service(db);
    let ada = app.user("ada");
    let with = |name: &str, value: Value| {
        let mut claims = claims(&ada);
        claims[name] = value;
        claims
    };
    let header = |algorithm: &str, typ: &str| {
        let key = if algorithm == "ES512" { "p521" } else { "unnamed" };
        json!({ "alg": algorithm, "kid": key, "typ": typ })
    };
    for (typ, claims, status) in [
        ("JWT", claims(&ada), 200),
        ("jwt", claims(&ada), 200),
        ("at+jwt", claims(&ada), 401),
        ("better-auth.session-cache+jwt", claims(&ada), 401),
        ("JWT", with("cnf", Value::Null), 401),
        ("JWT", with("updateTo", Value::Null), 401),
        (
            "JWT",
            with("requestType", json!("change-email-verification")),
            401,
        ),
        // `userId` is accepted as the user id only in a token that names its issuer or audience.
        (
            "JWT",
            json!({
                "userId": ada.id, "iss": frontend(), "aud": frontend(), "exp": ada.claims()["exp"],
            }),
            200,
        ),
        (
            "JWT",
            json!({ "userId": ada.id, "exp": ada.claims()["exp"] }),
            401,
        ),
    ] {
        for algorithm in ["EdDSA", "ES512"] {
            let token = issuer.token(&header(algorithm, typ), &claims);
            let answer = ada.with_token(&token).get("/api/tasks");
            assert_eq!(answer.status, status, "{algorithm} {typ} {claims}: {answer}");
        }
    }
}

#[rstest]
fn a_secret_in_the_key_set_url_is_never_logged(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    // Nothing listens at the first address. The service at the second address returns no key set.
    let unreachable = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let not_an_issuer = TestApp::builder(db).start();
    for address in [
        unreachable.to_string(),
        not_an_issuer.base_url().replace("http://", ""),
    ] {
        let url = format!("http://hunter1:hunter2@{address}/hunter3/jwks?key=hunter4#hunter5");
        let app = TestApp::builder(db)
            .env("BETTER_AUTH_JWKS_URL", &url)
            .env("RUST_LOG", "trace")
            .start();
        let ada = app.user("ada");
        let header = json!({ "alg": "EdDSA", "kid": "k" });
        let token = mint(&header, &claims(&ada), app.secret());
        ada.with_token(&token).get("/api/tasks").assert_problem(503);
        wait::until(Duration::from_secs(5), || {
            app.log().contains("cannot be fetched").then_some(())
        })
        .expect("the log should explain the failure");
        assert!(
            app.log().contains(&address),
            "the address is missing in the log: {}",
            app.log()
        );
        assert!(!app.log().contains("hunter"), "{}", app.log());
    }
}
