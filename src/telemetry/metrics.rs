//! The Prometheus metrics. No label contains a user id, and each label has a limited number of values.

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use prometheus::{
    Encoder as _, HistogramVec, IntCounterVec, IntGaugeVec, TextEncoder, register_histogram_vec,
    register_int_counter_vec, register_int_gauge_vec,
};

#[expect(
    clippy::expect_used,
    reason = "the names and labels are constants, and each name is used once"
)]
pub static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::new().expect("the metrics are valid, and registered once"));

pub struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    pool: IntGaugeVec,
    database_refused: IntCounterVec,
    refused_tokens: IntCounterVec,
    key_set_fetches: IntCounterVec,
}

/// The current numbers of database connections and of calls that wait for one.
pub struct PoolState {
    pub open: u32,
    pub in_use: u32,
    pub waiting: usize,
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let buckets = vec![
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        let metrics = Self {
            requests: register_int_counter_vec!(
                "http_requests_total",
                "Completed requests.",
                &["method", "route", "status"]
            )?,
            durations: register_histogram_vec!(
                "http_request_duration_seconds",
                "Time from the headers of a request to its response.",
                &["method", "route"],
                buckets
            )?,
            pool: register_int_gauge_vec!(
                "database_connections",
                "Open database connections, those in use, and calls that wait for one.",
                &["state"]
            )?,
            database_refused: register_int_counter_vec!(
                "database_refused_total",
                "Calls that failed because no database connection was free in time or the database was unavailable.",
                &["reason"]
            )?,
            refused_tokens: register_int_counter_vec!(
                "auth_refused_tokens_total",
                "Refused tokens.",
                &["reason"]
            )?,
            key_set_fetches: register_int_counter_vec!(
                "auth_jwks_fetches_total",
                "Fetches of the issuer's key set.",
                &["outcome"]
            )?,
        };
        let commit = option_env!("COMMIT").unwrap_or("unknown");
        register_int_gauge_vec!("build_info", "Always 1.", &["version", "commit"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION"), commit])
            .set(1);
        // These counters are created at the start, because Prometheus does not count the first event if the counter
        // appears with it.
        for outcome in ["success", "failure"] {
            metrics.key_set_fetches.with_label_values(&[outcome]);
        }
        for reason in ["queue_full", "timeout", "unavailable"] {
            metrics.database_refused.with_label_values(&[reason]);
        }
        Ok(metrics)
    }

    pub fn request_completed(&self, method: &str, route: &str, status: u16, duration: Duration) {
        // Other methods are counted as `other`, because clients can send any method name, and each one would become a
        // value of the label.
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("other");
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let labels = [method, route, status.as_str()];
        self.requests.with_label_values(&labels).inc();
        self.durations
            .with_label_values(&[method, route])
            .observe(duration.as_secs_f64());
    }

    pub fn token_refused(&self, reason: &'static str) {
        self.refused_tokens.with_label_values(&[reason]).inc();
    }

    pub fn database_refused(&self, reason: &'static str) {
        self.database_refused.with_label_values(&[reason]).inc();
    }

    pub fn key_set_fetched(&self, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.key_set_fetches.with_label_values(&[outcome]).inc();
    }

    /// Returns all metrics in the text format of Prometheus.
    pub fn render(&self, pool: &PoolState) -> Vec<u8> {
        self.pool.with_label_values(&["open"]).set(pool.open.into());
        self.pool.with_label_values(&["in_use"]).set(pool.in_use.into());
        self.pool.with_label_values(&["waiting"]).set(pool.waiting as i64);
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut text) {
            log::error!("the metrics cannot be rendered: {error}");
        }
        text
    }
}
