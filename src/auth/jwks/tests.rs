//! Tests the key set with an issuer that counts requests. Lifetimes are short, and the tests wait for them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

const X: &str = "PxbT3TqqlQLaI-pY-ugCR0prvbsytURASzmIvPL0U9w";

struct Issuer {
    url: String,
    asked: AtomicUsize,
    /// The raw response to the next request.
    answer: Mutex<Vec<u8>>,
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

fn keys(ids: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": id}))
        .collect();
    answer("200 OK", &serde_json::json!({ "keys": keys }).to_string())
}

impl Issuer {
    fn start(first: Vec<u8>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Arc::new(Self {
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
            asked: AtomicUsize::new(0),
            answer: Mutex::new(first),
        });
        let serving = Arc::clone(&issuer);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                serving.asked.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&serving.answer.lock().unwrap());
            }
        });
        issuer
    }

    fn answers(&self, with: Vec<u8>) {
        *self.answer.lock().unwrap() = with;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn jwks(&self, timing: Timing) -> Arc<Jwks> {
        Jwks::with_timing(self.url.clone(), timing)
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(150);

const LASTING: Timing = Timing {
    soft_lifetime: LONG,
    cooldown: LONG,
    after_failure: LONG,
};

async fn finds(jwks: &Arc<Jwks>, id: &str) -> bool {
    matches!(jwks.find(Some(id), Algorithm::EdDsa).await, Found::Keys { .. })
}

#[actix_web::test]
async fn keys_are_fetched_when_first_needed_and_once_for_many_at_a_time() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(LASTING);
    assert_eq!(issuer.asked(), 0);
    let calls = (0..50).map(|_| finds(&jwks, "a"));
    assert!(
        futures_util::future::join_all(calls)
            .await
            .into_iter()
            .all(|found| found)
    );
    assert_eq!(issuer.asked(), 1);
}

#[actix_web::test]
async fn a_thousand_unknown_keys_cause_one_fetch() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(LASTING);
    assert!(finds(&jwks, "a").await);
    for number in 0..1_000 {
        assert!(!finds(&jwks, &format!("random-{number}")).await);
    }
    assert_eq!(issuer.asked(), 2);
    assert!(finds(&jwks, "a").await);
}

#[actix_web::test]
async fn a_new_key_is_found_at_once_and_ends_what_was_verified_with_the_old_set() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(LASTING);
    assert!(finds(&jwks, "a").await);
    let before = jwks.current_generation().unwrap();
    issuer.answers(keys(&["a", "b"]));
    assert!(finds(&jwks, "b").await);
    assert_ne!(jwks.current_generation(), Some(before));
}

#[actix_web::test]
async fn calls_with_a_new_key_wait_for_the_fetch_that_one_of_them_began() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(LASTING);
    assert!(finds(&jwks, "a").await);
    issuer.answers(keys(&["a", "b"]));
    let calls = (0..50).map(|_| finds(&jwks, "b"));
    let found = futures_util::future::join_all(calls).await;
    assert!(found.iter().all(|found| *found), "{found:?}");
    assert_eq!(issuer.asked(), 2);
}

#[actix_web::test]
async fn a_removed_key_dies_with_the_soft_lifetime() {
    let issuer = Issuer::start(keys(&["a", "b"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        ..LASTING
    });
    assert!(finds(&jwks, "a").await);
    issuer.answers(keys(&["b"]));
    actix_web::rt::time::sleep(SHORT).await;
    assert_eq!(jwks.current_generation(), None);
    assert!(!finds(&jwks, "a").await);
    assert!(finds(&jwks, "b").await);
}

#[actix_web::test]
async fn a_key_that_was_removed_in_a_quiet_time_is_dead_though_a_fetch_had_failed_before() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        after_failure: SHORT,
        cooldown: SHORT,
    });
    assert!(finds(&jwks, "a").await);
    issuer.answers(answer("500 Internal Server Error", ""));
    assert!(!finds(&jwks, "b").await);
    issuer.answers(keys(&["b"]));
    actix_web::rt::time::sleep(SHORT * 2).await;
    assert!(!finds(&jwks, "a").await);
}

#[actix_web::test]
async fn the_last_good_keys_serve_while_the_issuer_is_away() {
    let issuer = Issuer::start(keys(&["a"]));
    let jwks = issuer.jwks(Timing {
        soft_lifetime: SHORT,
        ..LASTING
    });
    assert!(finds(&jwks, "a").await);
    issuer.answers(answer("500 Internal Server Error", ""));
    actix_web::rt::time::sleep(SHORT).await;
    for _ in 0..100 {
        assert!(finds(&jwks, "a").await);
    }
    assert_eq!(issuer.asked(), 2);
    assert!(jwks.current_generation().is_some());
}

#[actix_web::test]
async fn what_is_no_key_set_is_none_and_the_issuer_is_asked_again_after_a_pause() {
    let large = format!(
        "{{\"keys\": [], \"more\": \"{}\"}}",
        "x".repeat(MAX_BYTES as usize)
    );
    for wrong in [
        answer("404 Not Found", ""),
        answer("200 OK", "<html>"),
        answer("200 OK", &large),
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/elsewhere\r\nconnection: close\r\n\r\n".to_vec(),
        b"no http".to_vec(),
    ] {
        let issuer = Issuer::start(wrong);
        let jwks = issuer.jwks(Timing {
            after_failure: SHORT,
            ..LASTING
        });
        for _ in 0..10 {
            let found = jwks.find(Some("a"), Algorithm::EdDsa).await;
            assert!(matches!(found, Found::Nothing { .. }));
        }
        let asked = issuer.asked();
        assert!((1..5).contains(&asked), "{asked}");
        issuer.answers(keys(&["a"]));
        actix_web::rt::time::sleep(SHORT).await;
        assert!(finds(&jwks, "a").await);
    }
}
