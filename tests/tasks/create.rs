//! `POST` to a collection.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::task::{assert_is_task, id, time};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_created_task_comes_back_with_its_location(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let answer = ada.post(&contract.tasks(&ada), json!({ "title": "Buy milk" }));
        let task = answer.clone().expect(201).json();
        assert_is_task(&task);
        assert_eq!(task["user_id"], *ada.id);
        assert_eq!(task["title"], "Buy milk");
        assert_eq!(task["description"], Value::Null);
        assert_eq!(task["completed"], false);
        assert_eq!(task["due_date"], Value::Null);
        assert_eq!(task["created_at"], task["updated_at"]);

        let location = answer
            .header("location")
            .expect("the response should have Location");
        let path = location.strip_prefix(app.base_url()).unwrap_or(location);
        assert_eq!(path, contract.task(&ada, id(&task)));
        assert_eq!(ada.get(path).expect(200).json(), task);
    }
}

#[rstest]
fn every_field_can_be_given_at_once(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let body = json!({
            "title": "Buy milk",
            "description": "Two litres",
            "due_date": "2026-03-01T10:00:00Z",
            "completed": true,
        });
        let task = ada.post(&contract.tasks(&ada), body).expect(201).json();
        assert_eq!(task["description"], "Two litres");
        assert_eq!(task["due_date"], "2026-03-01T10:00:00.000000Z");
        assert_eq!(task["completed"], true);
        let read = ada.get(&contract.task(&ada, id(&task))).expect(200);
        assert_eq!(read.json(), task);
    }
}

#[rstest]
fn optional_fields_may_be_null(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let body = json!({ "title": "Buy milk", "description": null, "due_date": null });
        let task = ada.post(&contract.tasks(&ada), body).expect(201).json();
        assert_eq!(task["description"], Value::Null);
        assert_eq!(task["due_date"], Value::Null);
    }
}

#[rstest]
fn created_at_is_the_time_of_the_creation(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let before = chrono::Utc::now() - chrono::TimeDelta::seconds(2);
    let task = ada.has_task("Buy milk");
    let after = chrono::Utc::now() + chrono::TimeDelta::seconds(2);
    let created = time(&task["created_at"]);
    assert!(before < created && created < after, "{task}");
}

#[rstest]
fn a_title_of_200_characters_is_accepted_however_many_bytes_they_have(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for character in ["a", "é", "語", "😀"] {
            let title = character.repeat(200);
            let answer = ada.post(&contract.tasks(&ada), json!({ "title": title }));
            assert_eq!(answer.expect(201).json()["title"], title);

            let title = character.repeat(201);
            let answer = ada.post(&contract.tasks(&ada), json!({ "title": title }));
            answer.assert_bad_fields(contract, &["title"]);
        }
    }
}

#[rstest]
fn a_description_of_1000_characters_is_accepted_however_many_bytes_they_have(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for character in ["a", "😀"] {
            let body = json!({ "title": "t", "description": character.repeat(1000) });
            let task = ada.post(&contract.tasks(&ada), body.clone()).expect(201).json();
            assert_eq!(task["description"], body["description"]);

            let body = json!({ "title": "t", "description": character.repeat(1001) });
            let answer = ada.post(&contract.tasks(&ada), body);
            answer.assert_bad_fields(contract, &["description"]);
        }
    }
}

#[rstest]
fn a_title_comes_back_exactly_as_sent(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for title in [
            "x",
            "  spaces around  ",
            "a\ttab and a\nline break",
            "e\u{301} in two characters, é in one",
            "\u{feff}a mark in front",
            "quotes \" ' and \\ and / and <b>&amp;</b>",
            "'; DROP TABLE tasks; --",
            "100 % _ %s {} $1 ?",
            "מימין לשמאל \u{202e}back",
            "👩‍👩‍👧‍👦 \u{10ffff}",
            "null",
        ] {
            let answer = ada.post(&contract.tasks(&ada), json!({ "title": title }));
            let task = answer.expect(201).json();
            assert_eq!(task["title"], title);
            let read = ada.get(&contract.task(&ada, id(&task))).expect(200);
            assert_eq!(read.json()["title"], title);
        }
    }
}

#[rstest]
fn a_blank_title_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for title in ["", " ", "   ", "\t", "\r\n", "\u{a0}", "\u{2003}\u{3000}"] {
            let answer = ada.post(&contract.tasks(&ada), json!({ "title": title }));
            answer.assert_bad_fields(contract, &["title"]);
        }
    }
}

#[rstest]
fn a_missing_title_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for body in [json!({}), json!({ "description": "d" }), json!({ "title": null })] {
            let answer = ada.post(&contract.tasks(&ada), body);
            answer.assert_bad_fields(contract, &["title"]);
        }
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([]));
}

#[rstest]
fn a_nul_character_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let answer = ada.post(&contract.tasks(&ada), json!({ "title": "a\0b" }));
        answer.assert_bad_fields(contract, &["title"]);
        let body = json!({ "title": "a", "description": "\0" });
        ada.post(&contract.tasks(&ada), body)
            .assert_bad_fields(contract, &["description"]);
    }
}

#[rstest]
fn every_wrong_field_is_listed_at_once(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let body = json!({
            "title": " ",
            "description": "d".repeat(1001),
            "due_date": "tomorrow",
            "completed": "yes",
        });
        let answer = ada.post(&contract.tasks(&ada), body);
        answer.assert_bad_fields(contract, &["completed", "description", "due_date", "title"]);

        let body = json!({ "title": 5, "description": [], "due_date": 1, "completed": 0 });
        let answer = ada.post(&contract.tasks(&ada), body);
        answer.assert_bad_fields(contract, &["completed", "description", "due_date", "title"]);

        let body = json!({ "description": true, "due_date": "2026-02-30" });
        let answer = ada.post(&contract.tasks(&ada), body);
        answer.assert_bad_fields(contract, &["description", "due_date", "title"]);
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([]));
}

#[rstest]
fn a_value_of_another_type_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let others = [
        json!(1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
    ];
    for contract in CONTRACTS {
        for value in &others {
            for field in ["title", "description", "due_date", "completed"] {
                if field == "completed" && value.is_boolean() {
                    continue;
                }
                let mut body = json!({ "title": "t" });
                body[field] = value.clone();
                let answer = ada.post(&contract.tasks(&ada), body);
                answer.assert_bad_fields(contract, &[field]);
            }
        }
    }
}

#[rstest]
fn fields_that_a_client_may_not_set_are_ignored(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    for contract in CONTRACTS {
        let body = json!({
            "title": "Buy milk",
            "id": 77_777,
            "user_id": eve.id,
            "created_at": "2001-01-01T00:00:00Z",
            "updated_at": "2001-01-01T00:00:00Z",
            "version": 7,
            "colour": "red",
            "nested": { "title": null, "list": [1, { "a": "b" }] },
        });
        let task = ada.post(&contract.tasks(&ada), body).expect(201).json();
        assert_is_task(&task);
        assert_ne!(task["id"], 77_777);
        assert_eq!(task["version"], 1);
        assert_eq!(task["user_id"], *ada.id);
        assert!(*task["created_at"].as_str().unwrap() > *"2020");

        let body = json!({ "title": "t", "id": "x", "user_id": 5, "created_at": [1] });
        ada.post(&contract.tasks(&ada), body).expect(201);
    }
    assert_eq!(eve.get("/api/tasks").expect(200).json(), json!([]));
}

#[rstest]
fn ids_are_never_reused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let first = id(&ada.has_task("first"));
    ada.delete(&format!("/api/tasks/{first}")).expect(204);
    assert!(id(&ada.has_task("second")) > first);
}
