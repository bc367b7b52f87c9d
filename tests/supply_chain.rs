//! The dependencies of the service have allowed licences, come from crates.io and are documented.
//!
//! `cargo deny check licenses bans sources` checks licences and sources more thoroughly (`deny.toml`). These
//! tests need no program but cargo.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Returns the licences that `deny.toml` allows.
fn allowed() -> BTreeSet<String> {
    let deny = fs::read_to_string(format!("{ROOT}/deny.toml")).unwrap();
    let (_, rest) = deny.split_once("\nallow = [").unwrap();
    let (names, _) = rest.split_once("\n]").unwrap();
    let lines = names.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Returns whether all licences of one alternative of the expression are allowed. Parentheses are ignored:
/// `(A OR B) AND C` is accepted if A is allowed. `cargo deny` parses the expression correctly.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" OR ").any(|alternative| {
        let mut all = alternative.split(" AND ").map(str::trim);
        all.all(|name| allowed.contains(name.split(" WITH ").next().unwrap()))
    })
}

#[test]
fn every_licence_is_known_and_every_crate_from_one_source() {
    let (metadata, allowed) = (
        metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]),
        allowed(),
    );
    let packages = list(&metadata["packages"]);
    assert!(packages.len() > 100);
    for package in packages {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        assert!(is_allowed(licence, &allowed), "{name}: {licence:?}");
        let source = &package["source"];
        let one = source
            .as_str()
            .is_none_or(|source| source == "registry+https://github.com/rust-lang/crates.io-index");
        assert!(one, "{name}: {source}");
    }
}

/// Checks only that `docs/ARCHITECTURE.md` names each dependency. The compiler checks that the service uses
/// each one (`unused_crate_dependencies`), and cargo-machete checks the dependencies of the tests.
#[test]
fn every_dependency_has_its_reason() {
    let metadata = metadata(&["--no-deps"]);
    let reasons = fs::read_to_string(format!("{ROOT}/docs/ARCHITECTURE.md")).unwrap();
    for dependency in list(&metadata["packages"][0]["dependencies"]) {
        let name = text(dependency, "name");
        assert!(
            reasons.contains(name),
            "{name} has no line in docs/ARCHITECTURE.md"
        );
    }
}
