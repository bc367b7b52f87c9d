//! Tokens that are verified with a key set: algorithm names, unknown keys in the set, tokens that the issuer
//! signed for other purposes, and secrets in the URL of the key set.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::deployment::frontend;
use crate::support::token::{base64url, mint};
use crate::support::{Actor, Database, Postgres, Sqlite, TestApp, wait};

struct Issuer {
    url: String,
    server: Arc<Mutex<Server>>,
    ed25519: Ed25519KeyPair,
    p521: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

struct Server {
    answer: Vec<u8>,
    requests: usize,
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

impl Issuer {
    /// Starts an issuer that serves the keys of `document`.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
            server: Arc::new(Mutex::new(Server {
                answer: Vec::new(),
                requests: 0,
            })),
            ed25519: Ed25519KeyPair::generate().unwrap(),
            p521: EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        };
        issuer.serves(answer("200 OK", &issuer.document().to_string()));
        let server = Arc::clone(&issuer.server);
        // Nothing stops this thread. It ends with the test process.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let mut server = server.lock().unwrap();
                server.requests += 1;
                let _ = stream.write_all(&server.answer);
            }
        });
        issuer
    }

    fn document(&self) -> Value {
        let x = base64url(self.ed25519.public_key().as_ref());
        let (px, py) = self.p521.public_key().as_ref()[1..].split_at(66);
        let (px, py) = (base64url(px), base64url(py));
        // The public key is in DER, in which the 256 bytes of the modulus begin at this offset.
        let n = base64url(&self.rsa.public_key().as_ref()[9..265]);
        json!({ "keys": [
            "nonsense",
            { "kty": "AKP", "alg": "ML-DSA-44", "kid": "post-quantum", "pub": x },
            { "kty": "OKP", "crv": "Ed448", "alg": "Ed448", "kid": "ed448", "x": x },
            { "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "not on its curve", "x": py, "y": px },
            { "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "too short", "x": px[4..], "y": py },
            { "kty": "OKP", "crv": "Ed25519", "kid": "for encryption", "use": "enc", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "kid": "for rsa", "alg": "RS256", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "kid": "for a number", "alg": 5, "x": x },
            { "kty": "oct", "alg": "HS256", "kid": "shared", "k": x },
            { "kty": "RSA", "alg": "PS256", "kid": "ps256", "n": n, "e": "AQAB" },
            { "kty": "RSA", "alg": "RS256", "kid": "rs256", "n": n, "e": "AQAB" },
            { "kty": "RSA", "kid": "rsa", "n": n, "e": "AQAB" },
            { "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "kid": "rfc9864", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "rfc8037", "x": x },
            { "kty": "OKP", "crv": "Ed25519", "kid": "unnamed", "x": x },
            { "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": "p521", "x": px, "y": py },
        ]})
    }

    fn serves(&self, answer: Vec<u8>) {
        self.server.lock().unwrap().answer = answer;
    }

    fn requests(&self) -> usize {
        self.server.lock().unwrap().requests
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
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let signature = match header["alg"].as_str() {
            Some("ES512") => base64url(self.p521.sign(&random, bytes).unwrap()),
            Some("RS256") => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                    .unwrap();
                base64url(signature)
            }
            _ => base64url(self.ed25519.sign(bytes)),
        };
        format!("{message}.{signature}")
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
        ("RS256", "rs256", 200),
        ("RS256", "rsa", 200),
        // These are refused because the key is of another type, for another algorithm or for another purpose, the
        // algorithm is not supported, or the key is malformed.
        ("ES512", "rfc8037", 401),
        ("EdDSA", "p521", 401),
        ("Ed448", "ed448", 401),
        ("ES512", "not on its curve", 401),
        ("ES512", "too short", 401),
        ("EdDSA", "for encryption", 401),
        ("EdDSA", "for rsa", 401),
        ("EdDSA", "for a number", 401),
        ("EdDSA", "shared", 401),
        ("RS256", "ps256", 401),
    ] {
        let header = json!({ "alg": algorithm, "kid": key });
        let answer = ada
            .with_token(&issuer.token(&header, &claims(&ada)))
            .get("/api/tasks");
        assert_eq!(answer.status, status, "{header}: {answer}\n{}", app.log());
    }
    // Without a key id, every key for the algorithm is tried.
    let unnamed = issuer.token(&json!({ "alg": "EdDSA" }), &claims(&ada));
    ada.with_token(&unnamed).get("/api/tasks").expect(200);
    let mut changed = issuer.token(&json!({ "alg": "ES512", "kid": "p521" }), &claims(&ada));
    let last = if changed.pop() == Some('A') { 'Q' } else { 'A' };
    changed.push(last);
    ada.with_token(&changed).get("/api/tasks").assert_unauthorized();
}

/// Sends a call with each token at the same time, and returns the statuses.
fn at_once(user: &Actor, tokens: &[String]) -> Vec<u16> {
    thread::scope(|scope| {
        let calls: Vec<_> = tokens
            .iter()
            .map(|token| scope.spawn(|| user.with_token(token).get("/api/tasks").status))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[rstest]
fn the_keys_are_fetched_once_and_once_more_for_unknown_key_ids(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start();
    let app = issuer.service(db);
    let ada = app.user("ada");
    // Concurrent tokens have different claims, so that the service finds none of them in its cache.
    let token = |kid: &str, number: usize| {
        let mut claims = claims(&ada);
        claims["number"] = json!(number);
        issuer.token(&json!({ "alg": "EdDSA", "kid": kid }), &claims)
    };
    ada.get("/api/tasks").expect(200);
    assert_eq!(issuer.requests(), 0, "an HS256 token needs no key set");
    let tokens: Vec<_> = (0..30).map(|number| token("unnamed", number)).collect();
    assert_eq!(at_once(&ada, &tokens), [200; 30]);
    assert_eq!(issuer.requests(), 1);

    // All calls with a key that has just been published succeed, although only one of them causes a fetch.
    let mut document = issuer.document();
    document["keys"][14]["kid"] = json!("new");
    issuer.serves(answer("200 OK", &document.to_string()));
    let tokens: Vec<_> = (0..30).map(|number| token("new", number)).collect();
    assert_eq!(at_once(&ada, &tokens), [200; 30]);
    assert_eq!(issuer.requests(), 2);
    for number in 0..100 {
        let answer = ada
            .with_token(&token(&format!("unknown {number}"), 0))
            .get("/api/tasks");
        answer.assert_unauthorized();
    }
    assert_eq!(issuer.requests(), 2);
    // The key set no longer contains the old id of the key.
    ada.with_token(&token("unnamed", 0))
        .get("/api/tasks")
        .assert_unauthorized();
}

#[test]
fn an_invalid_key_set_is_refused_and_fetched_again_later() {
    skip_at_a_deployment!();
    let large = json!({ "keys": [], "more": "x".repeat(300_000) }).to_string();
    let services = [
        answer("404 Not Found", ""),
        answer("200 OK", "<html>"),
        answer("200 OK", &large),
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\nconnection: close\r\n\r\n".to_vec(),
        b"no http".to_vec(),
    ]
    .map(|wrong| {
        let issuer = Issuer::start();
        issuer.serves(wrong);
        let app = issuer.service(Sqlite);
        (issuer, app)
    });
    let ask = |issuer: &Issuer, app: &TestApp| {
        let ada = app.user("ada");
        let token = issuer.token(&json!({ "alg": "EdDSA", "kid": "unnamed" }), &claims(&ada));
        ada.with_token(&token).get("/api/tasks")
    };
    for (issuer, app) in &services {
        for _ in 0..10 {
            ask(issuer, app).assert_problem(503);
        }
        // The service waits for two seconds after a failure. The ten requests may take longer on a busy machine.
        assert!((1..5).contains(&issuer.requests()), "{}", issuer.requests());
        issuer.serves(answer("200 OK", &issuer.document().to_string()));
    }
    for (issuer, app) in &services {
        let accepted = || (ask(issuer, app).status == 200).then_some(());
        wait::until(Duration::from_secs(10), accepted).expect("the key set should be fetched again");
    }
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
