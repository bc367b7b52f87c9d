//! `deploy/monitoring`, checked with promtool and with a real Prometheus that scrapes a running service.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ROOT;
use crate::support::actor::Target;
use crate::support::process::{Process, run};
use crate::support::task::id;
use crate::support::{Actor, Database, TestApp, wait};

const TIMEOUT: Duration = Duration::from_mins(1);
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/monitoring");

/// Returns a command that runs a program of Prometheus: the one that `scripts/test` has unpacked, or else the
/// installed one.
fn program(name: &str) -> Command {
    let unpacked = format!("{ROOT}/target/prometheus/usr/bin/{name}");
    match Path::new(&unpacked).exists() {
        true => Command::new(unpacked),
        false => {
            let there = Command::new(name).arg("--version").output();
            assert!(there.is_ok(), "{name} is missing; scripts/test downloads it");
            Command::new(name)
        }
    }
}

fn promtool(arguments: &[&str]) -> String {
    run(program("promtool").args(arguments).current_dir(FOLDER), TIMEOUT)
}

#[test]
fn promtool_accepts_the_rules_and_every_alert_has_a_test() {
    let said = promtool(&["check", "config", "prometheus.yml"]);
    assert!(said.contains("1 rule files found"), "{said}");
    promtool(&["test", "rules", "alerts.test.yml"]);
    let tests = fs::read_to_string(format!("{FOLDER}/alerts.test.yml")).unwrap();
    let rules = fs::read_to_string(format!("{FOLDER}/alerts.yml")).unwrap();
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n");
        assert!(tests.contains(&fires), "no test expects the alert {name}");
    }
}

/// Before the file is checked, its service discovery is replaced, because Debian's Prometheus is built without support
/// for Kubernetes.
#[test]
fn promtool_accepts_the_configuration_for_kubernetes() {
    let text = fs::read_to_string(format!("{FOLDER}/prometheus-kubernetes.yml")).unwrap();
    let source = "    kubernetes_sd_configs:\n      - role: pod\n";
    assert!(text.contains(source));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text.replace(source, "    static_configs: []\n")).unwrap();
    promtool(&["check", "config", file.path().to_str().unwrap()]);
}

/// A Prometheus with the configuration of `deploy/monitoring`, except that it scrapes every half second.
struct Prometheus {
    api: Actor,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut configuration = fs::read_to_string(format!("{FOLDER}/prometheus.yml")).unwrap();
        for (old, new) in [
            ("127.0.0.1:9464", target),
            ("scrape_interval: 15s", "scrape_interval: 500ms"),
            ("evaluation_interval: 15s", "evaluation_interval: 1s"),
            ("[alerts.yml]", &format!("[{FOLDER}/alerts.yml]")),
        ] {
            let (before, after) = configuration.rsplit_once(old).unwrap();
            configuration = format!("{before}{new}{after}");
        }
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Process::spawn(
            program("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}")),
        );
        let api = Actor::anonymous(Target::new(vec![format!("http://{address}")], String::new()));
        let ready = || api.try_get("/-/ready").filter(|answer| answer.status == 200);
        assert!(
            wait::until(Duration::from_secs(30), ready).is_some(),
            "Prometheus did not start: {}",
            process.output().stderr
        );
        Self {
            api,
            _process: process,
            _folder: folder,
        }
    }

    #[track_caller]
    fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = self.api.get(&format!("/api/v1/query?query={encoded}"));
        let body = answer.json();
        assert_eq!(body["status"], "success", "{expression}: {body}");
        body["data"]["result"].as_array().unwrap().clone()
    }

    /// Returns the name and state of every alert. Fails if a rule cannot be evaluated.
    fn alerts(&self) -> Vec<(String, String)> {
        let body = self.api.get("/api/v1/rules").expect(200).json();
        let rules = body["data"]["groups"][0]["rules"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        rules
            .iter()
            .map(|rule| (text(&rule["name"]), text(&rule["state"])))
            .collect()
    }
}

/// Returns the queries of the dashboard's panels, each with the title of its panel, and the queries of its
/// annotations.
fn queries() -> (Vec<(String, String)>, Vec<String>) {
    let text = fs::read_to_string(format!("{FOLDER}/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let filled = |query: &Value| {
        let query = query.as_str().unwrap();
        let query = query
            .replace("$__rate_interval", "10s")
            .replace("$instance", ".*");
        assert!(!query.contains('$'), "{query}");
        query
    };
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panels = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap().iter();
        targets.map(|target| (panel["title"].to_string(), filled(&target["expr"])))
    });
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let annotations = annotations.map(|annotation| filled(&annotation["expr"]));
    (of_panels.collect(), annotations.collect())
}

/// Sends successful and failing requests of several users for the given time.
fn generate_load(app: &TestApp, duration: Duration) {
    let started = Instant::now();
    thread::scope(|scope| {
        for name in ["ada", "bob", "eve"] {
            scope.spawn(move || {
                let user = app.user(name);
                let stranger = user.with_token("no.token.atall");
                while started.elapsed() < duration {
                    let task = id(&user.creates(json!({ "title": "Buy milk" })));
                    user.get("/api/tasks?limit=5").expect(200);
                    user.patch(&format!("/api/tasks/{task}/complete")).expect(200);
                    user.get(&format!("/api/{}/tasks/{task}", user.id)).expect(200);
                    user.get("/api/tasks/0").expect(404);
                    stranger.get("/api/tasks").expect(401);
                    app.anonymous().get("/readyz").expect(200);
                }
            });
        }
    });
}

#[test]
fn every_panel_shows_data_and_an_outage_triggers_its_alerts() {
    skip_at_a_deployment!();
    let metrics = TcpListener::bind("127.0.0.2:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let app = TestApp::builder(Database::Postgres)
        .env("METRICS_ADDR", &metrics)
        .start();
    let prometheus = Prometheus::scraping(&metrics);
    // The first scrape may take some seconds.
    let scrapes = || Some(prometheus.query("up == 1")).filter(|found| !found.is_empty());
    wait::until(Duration::from_secs(30), scrapes).expect("Prometheus should scrape the service");
    generate_load(&app, Duration::from_secs(4));
    let (panels, annotations) = queries();
    assert!(panels.len() > 15, "{panels:?}");
    for query in annotations {
        // The query is only checked for errors. It may return nothing, because the service was not
        // restarted.
        prometheus.query(&query);
    }
    for (panel, query) in panels {
        let found = prometheus.query(&query);
        let numbers = found.iter().all(|series| series["value"][1] != "NaN");
        assert!(
            !found.is_empty() && numbers,
            "{panel} shows no data: {query}: {found:?}"
        );
    }
    for (alert, state) in prometheus.alerts() {
        assert_eq!(state, "inactive", "{alert} is active without a reason");
    }

    app.execute("ALTER TABLE tasks RENAME TO elsewhere");
    let expected = ["TodoBackendCallsTurnedAway", "TodoBackendDatabaseUnavailable"];
    let ada = app.user("ada");
    let noticed = || {
        ada.get("/api/tasks").expect(503);
        let alerts = prometheus.alerts();
        let active = |name: &&str| {
            alerts
                .iter()
                .any(|(alert, state)| alert == name && state != "inactive")
        };
        expected.iter().all(active).then_some(())
    };
    wait::until(Duration::from_secs(20), noticed)
        .unwrap_or_else(|| panic!("the outage triggers no alert: {:?}", prometheus.alerts()));
}
