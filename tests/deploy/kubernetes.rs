//! The manifests in `deploy/kubernetes` match the schemas of Kubernetes, and their ports and paths match the service.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{ROOT, python_tools};
use crate::support::actor::Target;
use crate::support::app::{SECRET, launch};
use crate::support::process::run;
use crate::support::{Actor, Database, OwnDatabase, wait};

const TIMEOUT: Duration = Duration::from_mins(1);

/// The versions of Kubernetes whose schemas the manifests must match.
const VERSIONS: [&str; 3] = ["1.27", "1.32", "1.37"];

const YAML_TO_JSON: &str =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";

/// The objects that `kubectl apply --kustomize` would send, as a YAML file and as parsed values.
struct Rendered {
    file: tempfile::NamedTempFile,
    objects: Vec<Value>,
}

impl Rendered {
    fn new() -> Self {
        let yaml = run(
            Command::new("kubectl")
                .args(["kustomize", "deploy/kubernetes"])
                .current_dir(ROOT),
            TIMEOUT,
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, yaml).unwrap();
        let mut python = Command::new(python_tools().join("python"));
        let json = run(python.args(["-c", YAML_TO_JSON]).arg(file.path()), TIMEOUT);
        let objects = serde_json::from_str(&json).unwrap();
        Self { file, objects }
    }

    fn only(&self, kind: &str) -> &Value {
        let mut found = self.objects.iter().filter(|object| object["kind"] == kind);
        let one = found.next().unwrap_or_else(|| panic!("{kind} is missing"));
        assert!(found.next().is_none(), "more than one {kind}");
        one
    }

    fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]
    }

    fn container(&self) -> &Value {
        &self.pod()["spec"]["containers"][0]
    }

    /// Returns the container port with this name.
    fn port(&self, name: &Value) -> u64 {
        let ports = self.container()["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| &port["name"] == name);
        port.unwrap_or_else(|| panic!("the container has no port {name}"))["containerPort"]
            .as_u64()
            .unwrap()
    }

    /// Returns the environment that Kubernetes would give to the container: the ConfigMap and the container's own
    /// variables.
    fn environment(&self) -> Vec<(String, String)> {
        let container = self.container();
        let settings = self.only("ConfigMap");
        assert_eq!(
            container["envFrom"][0]["configMapRef"]["name"],
            settings["metadata"]["name"]
        );
        let text = |value: &Value| value.as_str().expect("the value should be a string").to_owned();
        let shared = settings["data"].as_object().unwrap().iter();
        let own = container["env"].as_array().unwrap().iter();
        shared
            .map(|(name, value)| (name.clone(), text(value)))
            .chain(own.map(|variable| (text(&variable["name"]), text(&variable["value"]))))
            .collect()
    }
}

fn set(environment: &mut [(String, String)], name: &str, value: &str) -> String {
    let found = environment.iter_mut().find(|(other, _)| other == name);
    let (_, old) = found.unwrap_or_else(|| panic!("{name} is not set"));
    std::mem::replace(old, value.to_owned())
}

#[test]
fn kubernetes_accepts_every_field_of_every_manifest() {
    let rendered = Rendered::new();
    for version in VERSIONS {
        let mut validate = Command::new(python_tools().join("kubernetes-validate"));
        validate
            .args(["--strict", "-k", version])
            .arg(rendered.file.path());
        let said = run(&mut validate, TIMEOUT);
        let passed = said.matches(" passed for resource ").count();
        assert_eq!(passed, rendered.objects.len(), "{said}");
    }
}

/// Starts the service with the environment of the pod and the files of its Secret. Only the addresses differ, because
/// a test uses free ports.
#[test]
fn probes_and_metrics_of_a_pod_are_where_the_manifests_say() {
    skip_at_a_deployment!();
    let rendered = Rendered::new();
    let container = rendered.container();
    let mut environment = rendered.environment();
    let free = TcpListener::bind("127.0.0.2:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    assert_eq!(set(&mut environment, "HOST", "127.0.0.1"), "0.0.0.0");
    let http = set(&mut environment, "PORT", "0");
    let metrics = set(&mut environment, "METRICS_ADDR", &free);

    // `deploy/kubernetes/README.md` creates the Secret from files with these names.
    let database = OwnDatabase::create(Database::Postgres);
    let folder = tempfile::tempdir().unwrap();
    for (key, value) in [("database-url", &*database.url), ("better-auth-secret", SECRET)] {
        fs::write(folder.path().join(key), format!("{value}\n")).unwrap();
    }
    let mounted = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let volume = &rendered.pod()["spec"]["volumes"][0];
    assert_eq!(container["volumeMounts"][0]["name"], volume["name"]);
    assert_eq!(volume["secret"]["secretName"], "todo-backend");
    for (_, value) in &mut environment {
        if let Some(file) = value.strip_prefix(mounted) {
            *value = format!("{}{file}", folder.path().display());
        }
    }

    let elsewhere = tempfile::tempdir().unwrap();
    let (_process, base_url) = launch(elsewhere.path(), &environment);
    // The service must use the secret and the database from the files.
    let ada = Actor::user(Target::new(vec![base_url.clone()], SECRET.to_owned()), "ada");
    ada.has_task("Buy milk");
    assert_eq!(
        database.value("SELECT title FROM tasks").as_deref(),
        Some("Buy milk")
    );
    let anyone = Actor::anonymous(Target::new(vec![base_url], String::new()));
    for probe in ["livenessProbe", "readinessProbe"] {
        let ask = &container[probe]["httpGet"];
        assert_eq!(rendered.port(&ask["port"]).to_string(), http, "{probe}");
        anyone.get(ask["path"].as_str().unwrap()).expect(200);
    }
    let annotations = &rendered.pod()["metadata"]["annotations"];
    let scraped = annotations["prometheus.io/port"].as_str().unwrap();
    assert_eq!(metrics, format!("0.0.0.0:{scraped}"));
    assert_eq!(rendered.port(&"metrics".into()).to_string(), scraped);
    let scraper = Actor::anonymous(Target::new(vec![format!("http://{free}")], String::new()));
    wait::until(Duration::from_secs(5), || scraper.try_get("/metrics"))
        .expect("the metrics should be served")
        .expect(200);
}

#[test]
fn every_selector_and_port_matches_the_pod() {
    let rendered = Rendered::new();
    let labels = rendered.pod()["metadata"]["labels"].as_object().unwrap();
    let selectors = [
        &rendered.only("Deployment")["spec"]["selector"]["matchLabels"],
        &rendered.only("Service")["spec"]["selector"],
        &rendered.only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &rendered.only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &rendered.pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ];
    for selector in selectors {
        let selector = selector.as_object().unwrap();
        assert!(!selector.is_empty());
        for (name, value) in selector {
            assert_eq!(labels.get(name), Some(value), "{name}");
        }
    }
    assert_eq!(
        rendered.port(&rendered.only("Service")["spec"]["ports"][0]["targetPort"]),
        8000
    );
    let policy = &rendered.only("NetworkPolicy")["spec"];
    let open = |direction: &str| -> Vec<(String, String)> {
        let rules = policy[direction].as_array().unwrap().iter();
        rules
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| {
                (
                    port["protocol"].as_str().unwrap().to_owned(),
                    port["port"].to_string(),
                )
            })
            .collect()
    };
    let mut ingress = open("ingress").into_iter();
    for name in ["http", "metrics"] {
        rendered.port(&name.into());
        assert_eq!(ingress.next(), Some(("TCP".into(), format!("{name:?}"))));
    }
    assert_eq!(ingress.next(), None);
    let egress = open("egress");
    for (protocol, port) in [("UDP", "53"), ("TCP", "53"), ("TCP", "5432"), ("TCP", "443")] {
        assert!(
            egress.contains(&(protocol.into(), port.into())),
            "{protocol} {port}"
        );
    }
}

/// Checks that the pod meets the main requirements of the strictest Pod Security Standard.
#[test]
fn a_pod_is_within_the_restricted_pod_security_standard() {
    let rendered = Rendered::new();
    let (pod, container) = (&rendered.pod()["spec"], rendered.container());
    let of_pod = &pod["securityContext"];
    assert_eq!(of_pod["runAsNonRoot"], true);
    assert_ne!(of_pod["runAsUser"], 0);
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault");
    let own = &container["securityContext"];
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(own["capabilities"]["add"].is_null());
    assert!(own["privileged"].is_null());
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[name].is_null(), "{name}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        assert!(volume["secret"].is_object(), "{volume}");
    }
    // The pod must run as the user and group that the `Dockerfile` sets.
    let dockerfile = fs::read_to_string(format!("{ROOT}/Dockerfile")).unwrap();
    let user = format!("\nUSER {}:{}\n", of_pod["runAsUser"], of_pod["runAsGroup"]);
    assert!(dockerfile.contains(&user), "{user}");
}
