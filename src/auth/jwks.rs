//! Fetches the issuer's key set (JWKS) when it is first needed, when it is old, and when it lacks a key.
//!
//! Only one fetch runs at a time, and unknown key ids cause at most one fetch per cooldown, so that tokens with random
//! ids do not overload the issuer. If fetches fail, the last key set remains in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::algorithm::Algorithm;
use super::key_set::{Key, KeySet};
use crate::config::without_secrets;
use crate::telemetry::{METRICS, RequestContext};
use crate::tls_roots;

/// A key set that is older than this is refetched before it is used, unless a fetch has just failed. Keys that the issuer
/// has removed are therefore no longer accepted.
const SOFT_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The minimum time between two fetches for unknown key ids. After a failed fetch, this is also how long an expired key
/// set is used without waiting for another fetch.
const COOLDOWN: Duration = Duration::from_secs(10);

/// The minimum time between a failed fetch and the next one.
const FAILURE_BACKOFF: Duration = Duration::from_secs(2);

const FETCH_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_RESPONSE_BYTES: u64 = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    /// The URL for the log, without secrets.
    pub redacted_url: String,
    state: RwLock<State>,
    /// Locked during a fetch. Callers that wait for the lock find the result of the fetch in `state`.
    fetching: tokio::sync::Mutex<()>,
    http_client: ureq::Agent,
}

#[derive(Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Incremented when the document changes. Tokens that were verified with an older generation must be verified
    /// again.
    generation: u64,
    document: Arc<[u8]>,
    last_attempt: Option<Instant>,
    last_success: Option<Instant>,
    /// When the cooldown for unknown key ids last started.
    cooldown_started: Option<Instant>,
    /// Why the last fetch failed, or `None` if it succeeded.
    problem: Option<String>,
}

pub(super) enum Found {
    Keys {
        keys: Vec<Arc<Key>>,
        generation: u64,
    },
    /// The key set has no key for this token.
    Unknown,
    /// No key set has ever been fetched.
    NoKeySet {
        problem: String,
    },
}

fn is_within(since: Option<Instant>, duration: Duration) -> bool {
    since.is_some_and(|since| since.elapsed() < duration)
}

impl State {
    /// Returns whether the key set is younger than three quarters of its lifetime. An older key set is refetched in the
    /// background before its lifetime ends, so that requests need not wait.
    fn is_fresh(&self) -> bool {
        is_within(self.last_success, SOFT_LIFETIME * 3 / 4)
    }

    /// Returns whether the key set may be used without waiting for a fetch.
    fn is_usable(&self) -> bool {
        let issuer_failed_recently = self.problem.is_some() && is_within(self.last_attempt, COOLDOWN);
        issuer_failed_recently || is_within(self.last_success, SOFT_LIFETIME)
    }

    /// Returns whether the last fetch failed so recently that the next one must wait.
    fn is_in_failure_backoff(&self) -> bool {
        self.problem.is_some() && is_within(self.last_attempt, FAILURE_BACKOFF)
    }

    fn keys_for(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let Some(set) = &self.keys else {
            let problem = self.problem.clone().unwrap_or_default();
            return Found::NoKeySet { problem };
        };
        let keys = set.candidates(id, algorithm);
        let generation = self.generation;
        match keys.is_empty() {
            true => Found::Unknown,
            false => Found::Keys { keys, generation },
        }
    }
}

impl Jwks {
    pub fn new(url: String) -> Arc<Self> {
        Arc::new(Self {
            redacted_url: without_secrets(&url),
            url,
            state: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
            http_client: new_http_client(),
        })
    }

    /// Returns the generation of the key set, or `None` if there is no key set or it has to be refetched.
    pub fn current_generation(&self) -> Option<u64> {
        // The state is not cloned, because this method is called each time that a cached token is used.
        let state = self.state.read();
        let is_current = state.is_fresh() || state.is_in_failure_backoff();
        (state.keys.is_some() && is_current).then_some(state.generation)
    }

    pub async fn find(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Found {
        let state = self.state.read().clone();
        let found = state.keys_for(id, algorithm);
        if state.is_in_failure_backoff() {
            return found;
        }
        match &found {
            Found::Keys { .. } if state.is_fresh() => return found,
            // The old keys are used while the key set is refetched in the background.
            Found::Keys { .. } if state.is_usable() => {
                if self.fetching.try_lock().is_ok() {
                    RequestContext::spawn(Arc::clone(self).refresh(state.last_attempt, false));
                }
                return found;
            }
            Found::Unknown if is_within(state.cooldown_started, COOLDOWN) => return found,
            _ => {}
        }
        // The fetch runs in a separate task, so that it completes even if the client disconnects.
        let unknown_key = matches!(found, Found::Unknown);
        let _ = RequestContext::spawn(Arc::clone(self).refresh(state.last_attempt, unknown_key)).await;
        let found = self.state.read().keys_for(id, algorithm);
        if matches!(found, Found::Unknown) {
            self.state.write().cooldown_started = Some(Instant::now());
        }
        found
    }

    /// Fetches the key set, unless another fetch has completed since `known_attempt` was read.
    ///
    /// After a fetch for an unknown key id, this method starts the cooldown. If the cooldown started before the
    /// fetch, requests with a new key would be refused during the fetch. If only the caller started the cooldown, a
    /// client that disconnects during the fetch could cause another fetch.
    async fn refresh(self: Arc<Self>, known_attempt: Option<Instant>, unknown_key: bool) {
        let _lock = self.fetching.lock().await;
        if self.state.read().last_attempt != known_attempt {
            return;
        }
        let jwks = Arc::clone(&self);
        let outcome = tokio::task::spawn_blocking(move || jwks.fetch()).await;
        self.store_outcome(
            outcome.unwrap_or_else(|error| Err(error.to_string())),
            unknown_key,
        );
    }

    fn fetch(&self) -> Result<(Vec<u8>, KeySet), String> {
        let mut response = self
            .http_client
            .get(&self.url)
            .call()
            .map_err(|error| error.to_string())?;
        let status = response.status();
        if status != 200 {
            return Err(format!("the status of the response is {}", status.as_u16()));
        }
        let document = response
            .body_mut()
            .with_config()
            .limit(MAX_RESPONSE_BYTES)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        let keys =
            KeySet::parse(&document).map_err(|error| format!("the response is not a key set: {error}"))?;
        Ok((document, keys))
    }

    fn store_outcome(&self, outcome: Result<(Vec<u8>, KeySet), String>, unknown_key: bool) {
        METRICS.key_set_fetched(outcome.is_ok());
        let now = Instant::now();
        let mut state = self.state.write();
        state.last_attempt = Some(now);
        if unknown_key {
            state.cooldown_started = Some(now);
        }
        match outcome {
            Ok((document, keys)) => {
                if *state.document != *document {
                    log::info!("the key set at {} has changed", self.redacted_url);
                    state.generation += 1;
                    state.document = document.into();
                    state.keys = Some(Arc::new(keys));
                }
                state.last_success = Some(now);
                state.problem = None;
            }
            Err(problem) => {
                log::warn!(
                    "the key set at {} cannot be fetched: {problem}",
                    self.redacted_url
                );
                state.problem = Some(problem);
            }
        }
    }
}

/// Creates the HTTP client. It limits the duration of a fetch and follows no redirects; `fetch` limits the size of the
/// response.
fn new_http_client() -> ureq::Agent {
    let roots = tls_roots::load();
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_redirects(0)
        // Without this, ureq would use `HTTP_PROXY` and similar variables, which are not part of the configuration.
        .proxy(None)
        .http_status_as_error(false)
        .tls_config(
            TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .root_certs(RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
                .build(),
        )
        .build()
        .into()
}

#[cfg(test)]
mod tests;
