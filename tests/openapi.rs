//! `/openapi.json`: the committed, printed and served documents are identical, describe all routes, and
//! contain valid examples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::support::{Database, Postgres, Sqlite, TestApp, cli};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

static TEXT: LazyLock<String> = LazyLock::new(|| {
    fs::read_to_string(format!("{ROOT}/docs/openapi.json"))
        .expect("docs/openapi.json should exist; create it with: cargo run -q -- openapi > docs/openapi.json")
});
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&TEXT).expect("docs/openapi.json should be JSON"));

/// Returns every path of the document with its methods.
fn documented() -> BTreeMap<String, Vec<String>> {
    let methods = |item: &Value| {
        let mut methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods.retain(|key| METHODS.contains(&&**key));
        methods
    };
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths.map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// Returns every operation of the document, keyed by method and path.
pub fn operations() -> BTreeMap<String, &'static Value> {
    let paths = documented().into_iter();
    let operations = paths.flat_map(|(path, methods)| {
        methods.into_iter().map(move |method| {
            let operation = &DOCUMENT["paths"][&path][&method];
            (format!("{method} {path}"), operation)
        })
    });
    operations.collect()
}

#[test]
fn the_committed_document_is_what_the_subcommand_prints_without_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for environment in [&[][..], &[("DATABASE_URL", "nonsense"), ("PORT", "nonsense")]] {
        let printed = cli::run(folder.path(), environment, &["openapi"]).expect_success();
        let fresh = "recreate it with: cargo run -q -- openapi > docs/openapi.json";
        assert!(
            printed.stdout == *TEXT,
            "docs/openapi.json is not up to date; {fresh}"
        );
        assert_eq!(printed.stderr, "");
    }
    let left_behind = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left_behind, 0);
}

#[rstest]
fn the_document_needs_no_token_and_can_be_revalidated(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let answer = app.anonymous().get("/openapi.json").expect(200);
    assert_eq!(answer.json(), *DOCUMENT);
    assert_eq!(answer.text(), *TEXT);
    let tag = answer.header("etag").unwrap();
    let again = [("if-none-match", tag)];
    let again = app
        .anonymous()
        .request("GET", "/openapi.json", &again, b"")
        .expect(304);
    assert_eq!((again.header("etag"), again.text()), (Some(tag), String::new()));
    let head = app
        .anonymous()
        .request("HEAD", "/openapi.json", &[], b"")
        .expect(200);
    assert_eq!(head.header("content-length"), Some(&*TEXT.len().to_string()));
}

/// A method that no route supports is answered with 405 and the supported methods in `Allow`, which must
/// be the documented ones. A path that does not exist would be answered with 404.
#[rstest]
fn the_documented_paths_and_methods_are_those_of_the_service(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for (path, mut methods) in documented() {
        let path = path
            .replace("{user_id}", &ada.id)
            .replace("{id}", "1")
            .replace("{file}", "start.js");
        let answer = ada.request("PROPFIND", &path, &[], b"").expect(405);
        methods.sort();
        assert_eq!(answer.list_header("allow"), methods, "{answer}");
    }
}

/// Checks the opposite direction: the service has no route that the document lacks. The routes are read from
/// the source, because a running server does not list them.
#[test]
fn every_route_is_documented() {
    let table = fs::read_to_string(format!("{ROOT}/src/routes.rs")).unwrap();
    let (table, _) = table
        .split_once("\nfn at(")
        .expect("the route table should come before `fn at`");
    let (table, of_tasks) = table
        .split_once("\nfn task_routes(")
        .expect("the routes of tasks should follow the route table");
    let paths = |text: &str, call: &str| -> Vec<String> {
        let calls = text.split(call).skip(1);
        calls
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let mut routes = BTreeSet::from_iter(paths(table, "at(\""));
    for scope in paths(table, "task_routes(\"") {
        let below = paths(of_tasks, "at(\"");
        routes.extend(below.iter().map(|path| format!("/api{scope}{path}")));
    }
    assert!(routes.len() > 8, "{routes:?}");
    assert_eq!(routes, documented().into_keys().collect());
}

#[test]
fn every_operation_has_a_unique_name_and_lists_its_errors() {
    let mut names = BTreeSet::new();
    for (which, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} is used twice");
        assert!(
            operation["summary"].is_string() && operation["tags"][0].is_string(),
            "{which}"
        );
        let statuses: Vec<&str> = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(|s| &**s)
            .collect();
        if which.contains("/api/") {
            for status in ["401", "429", "500", "503"] {
                assert!(statuses.contains(&status), "{which}: {status}");
            }
            assert_eq!(statuses.contains(&"403"), which.contains("{user_id}"), "{which}");
            assert_eq!(operation.get("security"), None, "{which} must require the token");
        } else {
            assert_eq!(
                operation["security"],
                json!([]),
                "{which} must not require the token"
            );
        }
    }
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let mut used = BTreeSet::new();
    walk(&DOCUMENT, "", &mut |at, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(DOCUMENT.pointer(pointer).is_some(), "{at}: {reference}");
            used.insert(pointer.to_owned());
        }
    });
    for (kind, components) in DOCUMENT["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            // Security schemes are referred to by name and not by `$ref`. `WrongMethod` describes the 405
            // response to methods that have no operation, so no operation refers to it.
            let used = used.contains(&pointer) || kind == "securitySchemes" || name == "WrongMethod";
            assert!(used, "{pointer}");
        }
    }
}

/// Validates every example against the schema next to it.
#[test]
fn every_example_is_valid() {
    let mut count = 0;
    walk(&DOCUMENT, "", &mut |at, value| {
        let Some(object) = value.as_object() else { return };
        for (schema, example) in examples(object) {
            count += 1;
            if let Err(error) = validator(schema).validate(example) {
                panic!("{at}: {error}\n{example:#}");
            }
        }
    });
    assert!(count > 45, "only {count} examples were found");
}

/// Returns the examples of one object as pairs of a schema and an example.
fn examples(object: &Map<String, Value>) -> Vec<(&Value, &Value)> {
    let Some(schema) = object.get("schema") else {
        // This object is a schema itself, in which `examples` is a list. In this document, only schemas with
        // `anyOf` have such a list.
        let schema = object.get("type").or(object.get("anyOf"));
        let list = object
            .get("examples")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        return list.filter_map(|example| Some((schema?, example))).collect();
    };
    let named = object.get("examples").and_then(Value::as_object);
    let named = named
        .into_iter()
        .flat_map(Map::values)
        .map(|example| &example["value"]);
    object
        .get("example")
        .into_iter()
        .chain(named)
        .map(|example| (schema, example))
        .collect()
}

/// Builds a validator for JSON Schema 2020-12, on which OpenAPI 3.1 is based. It also checks formats.
fn validator(schema: &Value) -> jsonschema::Validator {
    let schema = match schema {
        // `examples` passes the array of an `anyOf` without the object around it.
        Value::Array(options) => json!({ "anyOf": options }),
        schema => schema.clone(),
    };
    let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&whole).unwrap_or_else(|error| panic!("{error}"))
}

fn walk(value: &'static Value, at: &str, visit: &mut impl FnMut(&str, &'static Value)) {
    visit(at, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &format!("{at}/{name}"), visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, at, visit)),
        _ => {}
    }
}

/// Checks with many bodies that the schema `NewTask` and the service accept the same ones.
#[test]
fn the_schemas_accept_the_same_values_as_the_service() {
    let app = TestApp::start(Database::Sqlite);
    let ada = app.user("ada");
    let new_task = validator(&json!({ "$ref": "#/components/schemas/NewTask" }));
    let longest = "é".repeat(200);
    let mut bodies = vec![json!({}), json!([]), json!({ "title": null })];
    for title in [
        "",
        " ",
        "\t\n",
        "\u{85}",
        "\u{a0}\u{3000}\u{2028}",
        "\u{1c}",
        "\u{feff}",
        "\u{200b}",
        "a\0",
        "\0",
        " a ",
        "\n",
        "🦀",
        &longest,
        &format!("{longest}x"),
    ] {
        bodies.push(json!({ "title": title }));
        bodies.push(json!({ "title": "t", "description": title }));
    }
    for description in ["é".repeat(1_000), "é".repeat(1_001)] {
        bodies.push(json!({ "title": "t", "description": description }));
    }
    for due_date in [
        "",
        "2026-02-29",
        "2028-02-29",
        "2026-1-2",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123456789+05:30",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05\u{2212}05:30",
        "2026-01-02T12:00:60Z",
        "2016-12-31T23:59:60Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05+0530",
        "2026-01-02T03:04:05 +05:30",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+05:60",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890123456789Z",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z ",
        "2026-01-02T03:04:61Z",
        "12026-01-02T03:04:05Z",
        "2026-W01-1",
    ] {
        bodies.push(json!({ "title": "t", "due_date": due_date }));
    }
    for due_date in [json!(null), json!(1), json!({})] {
        bodies.push(json!({ "title": "t", "due_date": due_date }));
    }
    for completed in [json!(null), json!(0), json!("true"), json!(true)] {
        bodies.push(json!({ "title": "t", "completed": completed, "unknown": [1] }));
    }
    for body in bodies {
        let answer = ada.post("/api/tasks", body.clone());
        assert_eq!(new_task.is_valid(&body), answer.status == 201, "{body}: {answer}");
    }
}

/// Checks that the schema `Task` has and requires every field of a response, so that its examples must have
/// them too, and that the schemas for input have every field that a client can set.
#[test]
fn the_schemas_have_the_fields_of_a_task() {
    let fields = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let schema = |name: &str| &DOCUMENT["components"]["schemas"][name];
    let properties = |name: &str| fields(&schema(name)["properties"]);

    let app = TestApp::start(Database::Sqlite);
    let mut task = fields(&app.user("ada").has_task("t"));
    assert_eq!(properties("Task"), task);
    let required = schema("Task")["required"].as_array().unwrap();
    let required: BTreeSet<_> = required
        .iter()
        .map(|field| field.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        required, task,
        "every field must be required, so that an incomplete example is invalid"
    );
    for made_by_the_service in ["id", "user_id", "created_at", "updated_at", "version"] {
        task.remove(made_by_the_service);
    }
    for input in ["NewTask", "TaskChanges"] {
        assert_eq!(properties(input), task, "{input}");
    }
}
