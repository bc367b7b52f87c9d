//! Tests how the age of a key set affects its use. The tests of the whole service cannot wait until a key set is old.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use super::*;

/// Starts an issuer that answers one request with each of these sets of key ids. Later requests fail.
fn fetches(answers: &[&[&str]]) -> Arc<Jwks> {
    const PUBLIC_KEY: &str = "PxbT3TqqlQLaI-pY-ugCR0prvbsytURASzmIvPL0U9w";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let jwks = Jwks::new(format!("http://{}/jwks", listener.local_addr().unwrap()));
    let key = |id: &&str| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": id});
    let document = |ids: &&[&str]| serde_json::json!({"keys": ids.iter().map(key).collect::<Vec<_>>()});
    let answers: Vec<_> = answers.iter().map(document).collect();
    thread::spawn(move || {
        for body in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
        }
    });
    jwks
}

impl Jwks {
    async fn has(self: &Arc<Self>, id: &str) -> bool {
        matches!(self.find(Some(id), Algorithm::EdDsa).await, Found::Keys { .. })
    }

    fn grow_older(&self, age: Duration) {
        let mut state = self.state.write();
        let State {
            last_attempt,
            last_success,
            cooldown_started,
            ..
        } = &mut *state;
        for moment in [last_attempt, last_success, cooldown_started]
            .into_iter()
            .flatten()
        {
            *moment -= age;
        }
    }
}

#[actix_web::test]
async fn a_removed_key_is_refused_after_the_soft_lifetime() {
    let jwks = fetches(&[&["a", "b"], &["b"]]);
    assert!(jwks.has("a").await);
    let generation = jwks.current_generation();
    assert!(generation.is_some());
    jwks.grow_older(SOFT_LIFETIME);
    assert_eq!(jwks.current_generation(), None);
    assert!(!jwks.has("a").await);
    assert!(jwks.has("b").await);
    assert_ne!(jwks.current_generation(), generation);
}

#[actix_web::test]
async fn the_last_keys_are_used_while_no_fetch_succeeds() {
    let jwks = fetches(&[&["a"]]);
    assert!(jwks.has("a").await);
    jwks.grow_older(SOFT_LIFETIME);
    assert!(jwks.has("a").await);
    let attempt = jwks.state.read().last_attempt;
    for _ in 0..100 {
        assert!(jwks.has("a").await);
    }
    assert_eq!(
        jwks.state.read().last_attempt,
        attempt,
        "only one fetch is attempted"
    );
    assert!(jwks.current_generation().is_some());
}

#[actix_web::test]
async fn a_removed_key_is_refused_even_if_the_last_fetch_failed() {
    let jwks = fetches(&[&["a"], &["b"]]);
    assert!(jwks.has("a").await);
    jwks.store_outcome(Err("the issuer is down".into()), false);
    jwks.grow_older(SOFT_LIFETIME);
    assert!(!jwks.has("a").await);
}
