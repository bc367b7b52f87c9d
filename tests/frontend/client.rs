//! `clients/typescript`: its types match the OpenAPI document, and its functions work against the real
//! service.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::workspace::{CLIENT, client, node, npm, output_of, root};
use crate::support::cli;
use crate::support::token::now;
use crate::support::{Database, Postgres, Sqlite, TestApp};

const TIMEOUT: Duration = Duration::from_secs(100);

#[test]
fn the_types_match_the_openapi_document() {
    let folder = tempfile::tempdir().unwrap();
    let document = cli::run(folder.path(), &[], &["openapi"]).expect_success().stdout;
    let file = folder.path().join("openapi.json");
    fs::write(&file, document).unwrap();
    let mut generate = node();
    generate
        .args([
            "node_modules/openapi-typescript/bin/cli.js",
            "--default-non-nullable=false",
        ])
        .arg(&file)
        .current_dir(client());
    let generated = output_of(&mut generate, TIMEOUT);
    let committed = fs::read_to_string(root().join(CLIENT).join("src/schema.d.ts")).unwrap();
    if generated.trim() != committed.trim() {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.d.ts");
        fs::write(&fresh, generated).unwrap();
        panic!(
            "clients/typescript/src/schema.d.ts is out of date. Run \
             `npm ci && npm run generate` in clients/typescript, or copy {}.",
            fresh.display()
        );
    }
}

#[test]
fn the_types_accept_correct_code_and_reject_mistakes() {
    // `test/tsconfig.json` extends the client's own settings, which are strict.
    let mut compile = node();
    compile
        .args(["node_modules/typescript/bin/tsc", "--project", "test"])
        .current_dir(client());
    output_of(&mut compile, TIMEOUT);
}

#[test]
fn its_own_tests_pass() {
    let folder = client().join("test");
    let tests = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tests: Vec<_> = tests
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    assert!(tests.len() >= 3, "{tests:?}");
    let said = output_of(node().arg("--test").args(tests).current_dir(client()), TIMEOUT);
    assert!(said.contains("fail 0"), "{said}");
}

/// The package that users install must contain everything that its `exports` name, the sources, the README
/// and `package.json`, and no other files.
#[test]
fn its_package_contains_exactly_its_exports() {
    let mut pack = npm(&client(), &["pack", "--dry-run", "--json", "--ignore-scripts"]);
    let said: Value = serde_json::from_str(&output_of(&mut pack, TIMEOUT)).unwrap();
    let files = said[0]["files"]
        .as_array()
        .expect("npm should pack one package")
        .iter();
    let mut files: Vec<String> = files
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut expected = vec!["README.md".to_owned(), "package.json".to_owned()];
    for module in ["days", "errors", "index", "react", "token"] {
        expected.extend(
            ["dist/NAME.d.ts", "dist/NAME.js", "src/NAME.ts"].map(|file| file.replace("NAME", module)),
        );
    }
    expected.extend(["dist/schema.d.ts".to_owned(), "src/schema.d.ts".to_owned()]);
    expected.sort();
    assert_eq!(files, expected);

    let text = fs::read_to_string(client().join("package.json")).unwrap();
    let package: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        package.get("dependencies"),
        None,
        "the package should have no dependencies"
    );
    for export in package["exports"].as_object().unwrap().values() {
        for file in export.as_object().unwrap().values() {
            let file = file.as_str().unwrap().trim_start_matches("./");
            assert!(files.iter().any(|packed| packed == file), "{file}");
        }
    }
}

#[rstest]
fn the_client_does_all_calls_and_renews_its_token(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let mut claims = ada.claims();
    claims["exp"] = json!(now() - 60);
    let expired = ada.signed(&claims).token.unwrap();
    let good = ada.token.as_deref().unwrap();
    let mut script = node();
    script
        .arg(root().join("tests/node/client.mjs"))
        .arg(client().join("dist/index.js"))
        .args([app.base_url(), &ada.id, good, &expired]);
    output_of(&mut script, TIMEOUT);
}
