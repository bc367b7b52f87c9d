//! Tests `Jwks` against an issuer that counts requests. Some tests use short lifetimes and wait until they end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

const PUBLIC_KEY: &str = "PxbT3TqqlQLaI-pY-ugCR0prvbsytURASzmIvPL0U9w";

struct Issuer {
    url: String,
    request_count: AtomicUsize,
    /// The raw response to every request.
    response: Mutex<Vec<u8>>,
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

fn key_set_response(ids: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": PUBLIC_KEY, "kid": id}))
        .collect();
    response("200 OK", &serde_json::json!({ "keys": keys }).to_string())
}

impl Issuer {
    fn start(first_response: Vec<u8>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Arc::new(Self {
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
            request_count: AtomicUsize::new(0),
            response: Mutex::new(first_response),
        });
        let serving = Arc::clone(&issuer);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                serving.request_count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&serving.response.lock().unwrap());
            }
        });
        issuer
    }

    fn set_response(&self, response: Vec<u8>) {
        *self.response.lock().unwrap() = response;
    }

    fn request_count(&self) -> usize {
        self.request_count.load(Ordering::SeqCst)
    }

    fn jwks(&self, timing: Timing) -> Arc<Jwks> {
        Jwks::with_timing(self.url.clone(), timing)
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(150);

const LONG_LIVED: Timing = Timing {
    soft_lifetime: LONG,
    cooldown: LONG,
    failure_backoff: LONG,
};

async fn finds_key(jwks: &Arc<Jwks>, id: &str) -> bool {
    matches!(jwks.find(Some(id), Algorithm::EdDsa).await, Found::Keys { .. })
}

#[actix_web::test]
async fn concurrent_requests_cause_one_first_fetch() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(LONG_LIVED);
    assert_eq!(issuer.request_count(), 0);
    let calls = (0..50).map(|_| finds_key(&jwks, "a"));
    assert!(
        futures_util::future::join_all(calls)
            .await
            .into_iter()
            .all(|found| found)
    );
    assert_eq!(issuer.request_count(), 1);
}

#[actix_web::test]
async fn a_thousand_unknown_key_ids_cause_one_more_fetch() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(LONG_LIVED);
    assert!(finds_key(&jwks, "a").await);
    for number in 0..1_000 {
        assert!(!finds_key(&jwks, &format!("random-{number}")).await);
    }
    assert_eq!(issuer.request_count(), 2);
    assert!(finds_key(&jwks, "a").await);
}

#[actix_web::test]
async fn a_new_key_is_found_at_once_and_changes_the_generation() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(LONG_LIVED);
    assert!(finds_key(&jwks, "a").await);
    let before = jwks.current_generation().unwrap();
    issuer.set_response(key_set_response(&["a", "b"]));
    assert!(finds_key(&jwks, "b").await);
    assert_ne!(jwks.current_generation(), Some(before));
}

#[actix_web::test]
async fn concurrent_requests_with_a_new_key_wait_for_one_fetch() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(LONG_LIVED);
    assert!(finds_key(&jwks, "a").await);
    issuer.set_response(key_set_response(&["a", "b"]));
    let calls = (0..50).map(|_| finds_key(&jwks, "b"));
    let found = futures_util::future::join_all(calls).await;
    assert!(found.iter().all(|found| *found), "{found:?}");
    assert_eq!(issuer.request_count(), 2);
}

#[actix_web::test]
async fn a_removed_key_is_refused_after_the_soft_lifetime() {
    let issuer = Issuer::start(key_set_response(&["a", "b"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        ..LONG_LIVED
    });
    assert!(finds_key(&jwks, "a").await);
    issuer.set_response(key_set_response(&["b"]));
    actix_web::rt::time::sleep(SHORT).await;
    assert_eq!(jwks.current_generation(), None);
    assert!(!finds_key(&jwks, "a").await);
    assert!(finds_key(&jwks, "b").await);
}

#[actix_web::test]
async fn a_removed_key_is_refused_even_if_the_last_fetch_failed() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        failure_backoff: SHORT,
        cooldown: SHORT,
    });
    assert!(finds_key(&jwks, "a").await);
    issuer.set_response(response("500 Internal Server Error", ""));
    assert!(!finds_key(&jwks, "b").await);
    issuer.set_response(key_set_response(&["b"]));
    actix_web::rt::time::sleep(SHORT * 2).await;
    assert!(!finds_key(&jwks, "a").await);
}

#[actix_web::test]
async fn the_last_keys_are_used_while_the_issuer_is_unavailable() {
    let issuer = Issuer::start(key_set_response(&["a"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        ..LONG_LIVED
    });
    assert!(finds_key(&jwks, "a").await);
    issuer.set_response(response("500 Internal Server Error", ""));
    actix_web::rt::time::sleep(SHORT).await;
    for _ in 0..100 {
        assert!(finds_key(&jwks, "a").await);
    }
    assert_eq!(issuer.request_count(), 2);
    assert!(jwks.current_generation().is_some());
}

#[actix_web::test]
async fn an_invalid_key_set_is_refused_and_refetched_after_the_backoff() {
    let large = format!(
        "{{\"keys\": [], \"more\": \"{}\"}}",
        "x".repeat(MAX_RESPONSE_BYTES as usize)
    );
    for wrong in [
        response("404 Not Found", ""),
        response("200 OK", "<html>"),
        response("200 OK", &large),
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/elsewhere\r\nconnection: close\r\n\r\n".to_vec(),
        b"no http".to_vec(),
    ] {
        let issuer = Issuer::start(wrong);
        let jwks = issuer.jwks(Timing {
            failure_backoff: SHORT,
            ..LONG_LIVED
        });
        for _ in 0..10 {
            let found = jwks.find(Some("a"), Algorithm::EdDsa).await;
            assert!(matches!(found, Found::NoKeySet { .. }));
        }
        let request_count = issuer.request_count();
        assert!((1..5).contains(&request_count), "{request_count}");
        issuer.set_response(key_set_response(&["a"]));
        actix_web::rt::time::sleep(SHORT).await;
        assert!(finds_key(&jwks, "a").await);
    }
}
