//! `clients/typescript`: its types are those of the service's own document, and it does what it says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::better_auth::node;
use crate::support::cli;
use crate::support::token::now;

const LIMIT: Duration = Duration::from_secs(50);

/// Runs to its end, and gives what it printed.
#[track_caller]
fn output_of(mut command: Command, arguments: &[&str]) -> String {
    let script = command.get_args().next().unwrap_or_default().to_owned();
    command.args(arguments);
    let mut process = node::spawn(command);
    let ended = process.wait(LIMIT);
    let said = process.said();
    assert!(
        ended.is_some_and(|status| status.success()),
        "{script:?} ({ended:?}):\n{}{}",
        said.stdout,
        said.stderr
    );
    said.stdout
}

#[test]
fn the_types_are_those_of_the_services_own_document() {
    let folder = tempfile::tempdir().unwrap();
    let document = cli::run(folder.path(), &[], &["openapi"]).expect_success().stdout;
    let file = folder.path().join("openapi.json");
    fs::write(&file, document).unwrap();
    let generate = node::script("node_modules/openapi-typescript/bin/cli.js");
    let options = ["--default-non-nullable=false", file.to_str().unwrap()];
    let generated = output_of(generate, &options);
    let committed = fs::read_to_string(node::root().join("clients/typescript/src/schema.d.ts")).unwrap();
    if generated.trim() != committed.trim() {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.d.ts");
        fs::write(&fresh, generated).unwrap();
        panic!(
            "clients/typescript/src/schema.d.ts is not what the document says any more. Run \
             `npm install && npm run generate` in clients/typescript, or copy {}.",
            fresh.display()
        );
    }
}

#[test]
fn the_compiler_takes_what_a_frontend_writes_and_no_mistakes() {
    // With the settings of the client itself, which are strict.
    output_of(
        node::script("node_modules/typescript/bin/tsc"),
        &["--project", "."],
    );
}

#[test]
fn the_tests_use_the_versions_that_the_client_names() {
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(node::root().join(path)).unwrap()).unwrap()
    };
    let client = read("clients/typescript/package.json");
    let ours = &read("tests/node/package.json")["dependencies"];
    for group in ["dependencies", "devDependencies"] {
        for (package, version) in client[group].as_object().unwrap() {
            assert_eq!(&ours[package], version, "{package}");
        }
    }
}

on_both_databases!(
    fn the_client_does_all_calls_and_renews_its_token(app: TestApp) {
        let ada = app.user("ada");
        let mut claims = ada.claims();
        claims["exp"] = json!(now() - 60);
        let expired = ada.signed(&claims).token.unwrap();
        let good = ada.token.as_deref().unwrap();
        output_of(
            node::script("client.mjs"),
            &[app.base_url(), &ada.id, good, &expired],
        );
    }
);
