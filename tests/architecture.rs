//! Checks rules for the structure of the source that neither the compiler (through privacy) nor clippy (`clippy.toml`)
//! enforces. `docs/ARCHITECTURE.md` describes the structure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the path relative to `src/` and the text of every Rust file below that folder.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => collect(&entry.path(), found),
                false => found.push(entry.path()),
            }
        }
    }
    let src = Path::new(ROOT).join("src");
    let mut found = Vec::new();
    collect(&src, &mut found);
    let relative = |path: &Path| path.strip_prefix(&src).unwrap().display().to_string();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let read = |path: PathBuf| (relative(&path), fs::read_to_string(&path).unwrap());
    found.into_iter().map(read).collect()
}

/// Returns the text of a source file without its comment lines.
fn code(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_part_depends_only_on_allowed_parts() {
    // Each entry is a folder below `src/`, and the texts that must not occur in its files. Comment lines and
    // files of unit tests are exempt.
    let rules: [(&str, &[&str]); 7] = [
        (
            "domain/",
            &[
                "actix",
                "diesel",
                "crate::auth",
                "crate::config",
                "crate::db",
                "crate::store",
            ],
        ),
        (
            "db/",
            &["crate::auth", "crate::http", "crate::store", "crate::tasks"],
        ),
        (
            "store/",
            &[
                "actix",
                "crate::http",
                "crate::tasks",
                "crate::routes",
                "crate::app",
            ],
        ),
        (
            "auth/",
            &[
                "actix",
                "diesel",
                "crate::db",
                "crate::store",
                "crate::http",
                "crate::tasks",
            ],
        ),
        (
            "http/",
            &[
                "diesel",
                "crate::tasks",
                "crate::openapi",
                "crate::routes",
                "crate::app",
                "operator",
                "OwnedTasks",
                "Session",
            ],
        ),
        (
            "http/server/",
            &["crate::auth", "crate::store", "crate::db", "super::super"],
        ),
        (
            "tasks/",
            &["diesel", "crate::routes", "crate::app", "operator", "Session"],
        ),
    ];
    for (path, source) in sources() {
        let code = code(&source);
        if path.ends_with("/tests.rs") {
            continue;
        }
        for (part, forbidden) in rules {
            for name in forbidden.iter().filter(|_| path.starts_with(part)) {
                assert!(!code.contains(name), "src/{path} names {name}");
            }
        }
    }
}

#[test]
fn every_file_is_short_and_begins_with_a_description() {
    for (path, source) in sources() {
        assert!(
            source.starts_with("//! "),
            "src/{path} does not say what it is for"
        );
        let lines = source.lines().count();
        assert!(lines <= 300, "src/{path} has {lines} lines");
    }
}

/// Checks only that `docs/ARCHITECTURE.md` names each dependency. The compiler checks that the service uses each one
/// (`unused_crate_dependencies`), cargo-machete checks the dependencies of the tests, and cargo-deny the licences and
/// sources of all crates (`deny.toml`).
#[test]
fn every_dependency_has_its_reason() {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(ROOT)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let reasons = fs::read_to_string(format!("{ROOT}/docs/ARCHITECTURE.md")).unwrap();
    for dependency in metadata["packages"][0]["dependencies"].as_array().unwrap() {
        let name = dependency["name"].as_str().unwrap();
        assert!(
            reasons.contains(name),
            "{name} has no line in docs/ARCHITECTURE.md"
        );
    }
}
