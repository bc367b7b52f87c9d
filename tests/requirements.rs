//! Checks that `docs/REQUIREMENTS.md` lists every requirement with at least one test, and names only existing
//! tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The ids of all requirements of the two specifications.
const IDS: [&str; 42] = [
    "FR-001", "FR-002", "FR-003", "FR-004", "FR-005", "FR-006", "FR-007", "FR-008", "FR-009", "FR-010",
    "FR-011", "FR-012", "FR-013", "FR-014", "FR-015", "FR-016", "FR-017", "FR-018", "FR-019", "FR-020",
    "SC-001", "SC-002", "SC-003", "SC-004", "SC-005", "SC-006", "SC-007", "SC-008", "DB-1", "DB-2", "DB-3",
    "DB-4", "API-1", "API-2", "API-3", "API-4", "API-5", "NF-1", "NF-2", "NF-3", "NF-4", "NF-5",
];

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the id of every requirement in the tables, with the tests that its row names.
fn rows() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(format!("{ROOT}/docs/REQUIREMENTS.md")).expect("docs/REQUIREMENTS.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, tests] = cells[..] else { continue };
        if !id.starts_with(|c: char| c.is_ascii_uppercase()) || !id.contains('-') {
            continue;
        }
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(
            rows.insert(id.to_owned(), tests).is_none(),
            "{id} is listed twice"
        );
    }
    rows
}

/// Returns the tests of this crate by the names that the test runner uses, without the part that rstest
/// appends for the database: `tasks::create::a_created_task_comes_back_with_its_location`.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(Path::new(&format!("{ROOT}/tests")), "", &mut found);
    found
}

fn collect(folder: &Path, module: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let inner = |name: &str| match module {
            "" => name.to_owned(),
            module => format!("{module}::{name}"),
        };
        if entry.path().join("mod.rs").exists() {
            collect(&entry.path(), &inner(&name), found);
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let module = match stem {
                "mod" | "main" => module.to_owned(),
                stem => inner(stem),
            };
            let source = fs::read_to_string(entry.path()).unwrap();
            // Helper functions are included as well, so a row that names one instead of a test is not detected.
            let functions = source
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("fn "));
            for function in functions {
                let name = function.split(['(', '<']).next().unwrap();
                found.insert(format!("{module}::{name}"));
            }
        }
    }
}

#[test]
fn every_requirement_is_listed_and_has_a_test() {
    let rows = rows();
    for id in IDS {
        let tests = rows.get(id).unwrap_or_else(|| panic!("{id} is missing"));
        assert!(!tests.is_empty(), "{id} names no test");
    }
    for id in rows.keys() {
        let known = IDS.iter().any(|known| known == id);
        assert!(known, "{id} is in neither specification");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let tests = tests();
    for (id, named) in rows() {
        for name in named {
            // A row names a unit test or doctest by its file and function. Only the file is checked.
            if name.starts_with("src/") {
                let path = name.split("::").next().unwrap();
                assert!(Path::new(&format!("{ROOT}/{path}")).exists(), "{id}: {name}");
                continue;
            }
            assert!(tests.contains(&name), "{id}: there is no test {name}");
        }
    }
}
