//! The issuer's key set: fetched when first needed, and kept as current as that needs to be.
//!
//! One fetch at a time, and a key id that is not in the set causes one in each cooldown at most: random
//! ids must not turn this service into a load on the issuer. The last good keys serve while the issuer is
//! away.

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
    /// A set that is older was fetched again, or is before it is used: keys that the issuer removed die.
    soft_lifetime: Duration,
    /// Between two fetches for key ids that are not in the set, and how long a failure excuses old keys.
    cooldown: Duration,
    /// Between two fetches while the issuer is away.
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
    /// For the log.
    pub shown_url: String,
    timing: Timing,
    state: RwLock<State>,
    /// Held while fetching; whoever waits for it finds the outcome in the state.
    fetching: tokio::sync::Mutex<()>,
    agent: ureq::Agent,
}

#[derive(Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Grows when the keys change: what was verified with older ones has to be verified anew.
    generation: u64,
    text: Arc<[u8]>,
    attempted: Option<Instant>,
    succeeded: Option<Instant>,
    /// When a key was last looked for in vain.
    missed: Option<Instant>,
    problem: Option<String>,
}

pub(super) enum Found {
    Keys {
        keys: Vec<Arc<Key>>,
        generation: u64,
    },
    /// There are keys, but none for this token.
    Unknown,
    /// There never were any.
    Nothing {
        problem: String,
    },
}

fn within(since: Option<Instant>, time: Duration) -> bool {
    since.is_some_and(|since| since.elapsed() < time)
}

impl State {
    /// Somewhat shorter than it lives, so that a busy service never waits for the next one.
    fn is_fresh(&self, timing: Timing) -> bool {
        within(self.succeeded, timing.soft_lifetime * 3 / 4)
    }

    /// A removed key need not be feared in it yet; or else the issuer, when asked just now, was away.
    fn is_usable(&self, timing: Timing) -> bool {
        let was_away = self.problem.is_some() && within(self.attempted, timing.cooldown);
        was_away || within(self.succeeded, timing.soft_lifetime)
    }

    /// The issuer was away when last asked, and is left alone for a moment.
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

    /// The generation of the keys, if they need no fetch right now.
    pub fn current_generation(&self) -> Option<u64> {
        // Asked for every token that was verified before, so nothing is copied here.
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
            // The keys at hand serve while newer ones are fetched, unless they are old.
            Found::Keys { .. } if state.is_usable(self.timing) => {
                if self.fetching.try_lock().is_ok() {
                    RequestContext::spawn(Arc::clone(self).refresh(state.attempted, false));
                }
                return found;
            }
            Found::Unknown if within(state.missed, self.timing.cooldown) => return found,
            _ => {}
        }
        // In a task of its own, because a fetch that began has to be kept whoever asked for it.
        let missed = matches!(found, Found::Unknown);
        let _ = RequestContext::spawn(Arc::clone(self).refresh(state.attempted, missed)).await;
        let found = self.read().keys_for(id, algorithm);
        if matches!(found, Found::Unknown) {
            self.write().missed = Some(Instant::now());
        }
        found
    }

    /// One fetch at a time: whoever waited for it finds that there was one since `known`. A key that was
    /// missed is noted with the outcome. Any sooner, calls with a new key would be refused while it is
    /// fetched; any later, who hangs up meanwhile would get another fetch for it.
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

/// Bounded in time and size (where it reads), and led nowhere else by a redirect.
fn agent() -> ureq::Agent {
    let roots = tls_roots::load();
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_redirects(0)
        // The configuration says all that there is to say; a proxy from the environment is no part of it.
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
