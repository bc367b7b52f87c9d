//! `PUT` of one task: absent fields are not changed.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::task::{assert_is_task, id, time};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

/// A task with a value in every field.
fn full() -> Value {
    json!({
        "title": "Buy milk",
        "description": "Two litres",
        "due_date": "2026-03-01T10:00:00Z",
        "completed": true,
    })
}

#[rstest]
fn each_field_can_be_changed_separately(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let mut expected = ada.creates(full());
        let path = contract.task(&ada, id(&expected));
        for (field, value, shown) in [
            ("title", json!("Buy bread"), json!("Buy bread")),
            ("description", json!("One loaf"), json!("One loaf")),
            (
                "due_date",
                json!("2027-01-01"),
                json!("2027-01-01T00:00:00.000000Z"),
            ),
            ("completed", json!(false), json!(false)),
            ("description", Value::Null, Value::Null),
            ("due_date", Value::Null, Value::Null),
        ] {
            let answer = ada.put(&path, json!({ field: value })).expect(200).json();
            assert_is_task(&answer);
            assert!(
                time(&answer["updated_at"]) > time(&expected["updated_at"]),
                "{answer}"
            );
            expected[field] = shown;
            expected["updated_at"] = answer["updated_at"].clone();
            expected["version"] = json!(expected["version"].as_i64().unwrap() + 1);
            assert_eq!(answer, expected);
            assert_eq!(ada.get(&path).expect(200).json(), expected);
        }
    }
}

#[rstest]
fn all_fields_can_be_changed_at_once(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.has_task("Buy milk");
        let answer = ada
            .put(&contract.task(&ada, id(&task)), full())
            .expect(200)
            .json();
        assert_eq!(answer["description"], "Two litres");
        assert_eq!(answer["due_date"], "2026-03-01T10:00:00.000000Z");
        assert_eq!(answer["completed"], true);
        assert_eq!(answer["created_at"], task["created_at"]);
    }
}

#[rstest]
fn an_empty_object_changes_nothing(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.creates(full());
        let path = contract.task(&ada, id(&task));
        assert_eq!(ada.put(&path, json!({})).expect(200).json(), task);
        // Fields that a client may not set, or that do not exist, change nothing either.
        let nothing = json!({ "id": 9, "user_id": "x", "updated_at": null, "version": 9, "colour": "red" });
        assert_eq!(ada.put(&path, nothing).expect(200).json(), task);
        assert_eq!(ada.get(&path).expect(200).json(), task);
    }
}

#[rstest]
fn null_is_bad_input_for_required_fields(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.creates(full());
        let path = contract.task(&ada, id(&task));
        for field in ["title", "completed"] {
            let answer = ada.put(&path, json!({ field: null }));
            answer.assert_bad_fields(contract, &[field]);
        }
        let answer = ada.put(&path, json!({ "title": null, "completed": null }));
        answer.assert_bad_fields(contract, &["completed", "title"]);
        assert_eq!(ada.get(&path).expect(200).json(), task);
    }
}

#[rstest]
fn a_whole_object_can_be_sent_back(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    for contract in CONTRACTS {
        let task = ada.creates(full());
        let path = contract.task(&ada, id(&task));

        let mut changed = task.clone();
        changed["title"] = json!("Buy bread");
        let answer = ada.put(&path, changed).expect(200).json();
        assert_eq!(answer["title"], "Buy bread");

        let mut stolen = answer.clone();
        stolen["id"] = json!(id(&task) + 1);
        stolen["user_id"] = json!(eve.id);
        stolen["created_at"] = json!("2001-01-01T00:00:00Z");
        stolen["updated_at"] = json!("2001-01-01T00:00:00Z");
        let kept = ada.put(&path, stolen).expect(200).json();
        for field in ["id", "user_id", "created_at", "title", "description", "due_date"] {
            assert_eq!(kept[field], answer[field], "{field}");
        }
        assert!(time(&kept["updated_at"]) >= time(&answer["updated_at"]));
    }
    assert_eq!(eve.get("/api/tasks").expect(200).json(), json!([]));
}

#[rstest]
fn the_limits_are_the_same_as_for_a_new_task(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.has_task("Buy milk");
        let path = contract.task(&ada, id(&task));
        ada.put(&path, json!({ "title": "😀".repeat(200) })).expect(200);
        ada.put(&path, json!({ "description": "😀".repeat(1000) }))
            .expect(200);
        let before = ada.get(&path).expect(200).json();
        for (field, wrong) in [
            ("title", json!("😀".repeat(201))),
            ("title", json!(" \t ")),
            ("title", json!("")),
            ("title", json!("a\0")),
            ("title", json!(5)),
            ("description", json!("d".repeat(1001))),
            ("description", json!("\0")),
            ("description", json!({})),
            ("due_date", json!("soon")),
            ("due_date", json!(0)),
            ("completed", json!("false")),
            ("completed", json!(1)),
        ] {
            let answer = ada.put(&path, json!({ field: wrong }));
            answer.assert_bad_fields(contract, &[field]);
        }
        let wrong = json!({ "title": "", "description": 1, "due_date": "x", "completed": 2 });
        let answer = ada.put(&path, wrong);
        answer.assert_bad_fields(contract, &["completed", "description", "due_date", "title"]);
        // An invalid field prevents the valid ones from being written.
        let half = json!({ "title": "Buy bread", "due_date": "x" });
        ada.put(&path, half).assert_bad_fields(contract, &["due_date"]);
        assert_eq!(ada.get(&path).expect(200).json(), before);
    }
}

#[rstest]
fn a_missing_task_is_not_created(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.task(&ada, 9_007_199_254_740_000_i64);
        ada.put(&path, full()).assert_problem(404);
        ada.put(&path, json!({})).assert_problem(404);
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([]));
}
