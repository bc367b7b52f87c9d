//! The issuer's key set, which is fetched when it is first needed, and refetched when it is old or lacks a key.
//!
//! Only one fetch runs at a time, and unknown key ids cause at most one fetch per cooldown, so that tokens with random
//! ids do not overload the issuer. While the issuer is unavailable, the last good keys remain in use.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::algorithm::Algorithm;
use super::key_set::{Key, KeySet};
use crate::config::without_secrets;
use crate::telemetry::METRICS;
use crate::telemetry::RequestContext;
use crate::tls_roots;

#[derive(Clone, Copy)]
struct Timing {
    /// An older key set is refetched before it is used, so that keys that the issuer has removed stop working.
    soft_lifetime: Duration,
    /// The minimum time between two fetches for unknown key ids. Old keys may be used this long after a failed fetch.
    cooldown: Duration,
    /// The minimum time between two fetches while the issuer is unavailable.
    after_failure: Duration,
}

const TIMING: Timing = Timing {
    soft_lifetime: Duration::from_secs(10 * 60),
    cooldown: Duration::from_secs(10),
    after_failure: Duration::from_secs(2),
};

const FETCH_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_BYTES: u64 = 256 * 1024;

pub(super) struct Jwks {
    url: String,
    /// The URL without secrets, for the log.
    pub shown_url: String,
    timing: Timing,
    state: RwLock<State>,
    /// Held during a fetch. Tasks that waited for it find the result in `state`.
    fetching: tokio::sync::Mutex<()>,
    agent: ureq::Agent,
}

#[derive(Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Incremented when the keys change. Tokens that were verified with older keys must be verified again.
    generation: u64,
    text: Arc<[u8]>,
    attempted: Option<Instant>,
    succeeded: Option<Instant>,
    /// When a key was last requested that is not in the set.
    missed: Option<Instant>,
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
    Nothing {
        problem: String,
    },
}

fn within(since: Option<Instant>, time: Duration) -> bool {
    since.is_some_and(|since| since.elapsed() < time)
}

impl State {
    /// Becomes false before the lifetime ends, so that a busy service refetches in the background.
    fn is_fresh(&self, timing: Timing) -> bool {
        within(self.succeeded, timing.soft_lifetime * 3 / 4)
    }

    /// The set may be used without waiting for a fetch: it is not too old, or the issuer was unavailable just now.
    fn is_usable(&self, timing: Timing) -> bool {
        let was_away = self.problem.is_some() && within(self.attempted, timing.cooldown);
        was_away || within(self.succeeded, timing.soft_lifetime)
    }

    /// The last fetch failed, and it is too early for the next one.
    fn rests(&self, timing: Timing) -> bool {
        self.problem.is_some() && within(self.attempted, timing.after_failure)
    }
}

impl Jwks {
    pub fn new(url: String) -> Arc<Self> {
        Self::with_timing(url, TIMING)
    }

    fn with_timing(url: String, timing: Timing) -> Arc<Self> {
        Arc::new(Self {
            shown_url: without_secrets(&url),
            url,
            timing,
            state: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
            agent: agent(),
        })
    }

    /// The generation of the keys, unless they have to be refetched.
    pub fn current_generation(&self) -> Option<u64> {
        // This is called for every cached token, so it does not clone the state.
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let settled = state.is_fresh(self.timing) || state.rests(self.timing);
        (state.keys.is_some() && settled).then_some(state.generation)
    }

    pub async fn find(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Found {
        let state = self.read();
        let found = state.keys_for(id, algorithm);
        if state.rests(self.timing) {
            return found;
        }
        match &found {
            Found::Keys { .. } if state.is_fresh(self.timing) => return found,
            // These keys are used while newer ones are fetched in the background.
            Found::Keys { .. } if state.is_usable(self.timing) => {
                if self.fetching.try_lock().is_ok() {
                    RequestContext::spawn(Arc::clone(self).refresh(state.attempted, false));
                }
                return found;
            }
            Found::Unknown if within(state.missed, self.timing.cooldown) => return found,
            _ => {}
        }
        // A separate task, because the fetch must complete even if the client disconnects.
        let missed = matches!(found, Found::Unknown);
        let _ = RequestContext::spawn(Arc::clone(self).refresh(state.attempted, missed)).await;
        let found = self.read().keys_for(id, algorithm);
        if matches!(found, Found::Unknown) {
            self.write().missed = Some(Instant::now());
        }
        found
    }

    /// Does nothing if another fetch has completed since `known`. `missed` is recorded together with the result: if it
    /// were recorded before the fetch, requests with a new key would be refused during the fetch; if the caller
    /// recorded it afterwards, a client that disconnects meanwhile could cause another fetch.
    async fn refresh(self: Arc<Self>, known: Option<Instant>, missed: bool) {
        let _turn = self.fetching.lock().await;
        if self.read().attempted != known {
            return;
        }
        let jwks = Arc::clone(&self);
        let outcome = tokio::task::spawn_blocking(move || jwks.fetch()).await;
        self.keep(outcome.unwrap_or_else(|error| Err(error.to_string())), missed);
    }

    fn fetch(&self) -> Result<(Vec<u8>, KeySet), String> {
        let mut answer = self
            .agent
            .get(&self.url)
            .call()
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        if status != 200 {
            return Err(format!("it answers {}", status.as_u16()));
        }
        let text = answer
            .body_mut()
            .with_config()
            .limit(MAX_BYTES)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        let keys = KeySet::parse(&text).map_err(|error| format!("what it answers is no key set: {error}"))?;
        Ok((text, keys))
    }

    fn keep(&self, outcome: Result<(Vec<u8>, KeySet), String>, missed: bool) {
        METRICS.key_set_fetched(outcome.is_ok());
        let now = Instant::now();
        let mut state = self.write();
        state.attempted = Some(now);
        if missed {
            state.missed = Some(now);
        }
        match outcome {
            Ok((text, keys)) => {
                if *state.text != *text {
                    log::info!("the key set at {} has changed", self.shown_url);
                    state.generation += 1;
                    state.text = text.into();
                    state.keys = Some(Arc::new(keys));
                }
                state.succeeded = Some(now);
                state.problem = None;
            }
            Err(problem) => {
                log::warn!("the key set at {} cannot be fetched: {problem}", self.shown_url);
                state.problem = Some(problem);
            }
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    fn keys_for(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let Some(set) = &self.keys else {
            let problem = self.problem.clone().unwrap_or_else(|| "not asked yet".into());
            return Found::Nothing { problem };
        };
        let keys = set.suited(id, algorithm);
        if keys.is_empty() {
            return Found::Unknown;
        }
        Found::Keys {
            keys,
            generation: self.generation,
        }
    }
}

/// The HTTP client. It limits the time of a fetch and follows no redirects; `fetch` limits the size.
fn agent() -> ureq::Agent {
    let roots = tls_roots::load();
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_redirects(0)
        // The service reads its configuration from its own variables only, so it ignores `HTTP_PROXY` and the like.
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
