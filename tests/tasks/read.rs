//! `GET` of one task.

use rstest::rstest;
use serde_json::json;

use crate::support::task::{assert_is_task, id};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_task_is_read_as_it_was_created(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.creates(json!({
        "title": "Buy milk",
        "description": "Two litres",
        "due_date": "2026-03-01T10:00:00.25+01:00",
    }));
    for contract in CONTRACTS {
        let read = ada.get(&contract.task(&ada, id(&task))).expect(200).json();
        assert_is_task(&read);
        assert_eq!(read, task);
    }
}

#[rstest]
fn both_contracts_show_the_same_tasks(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let [first, second] = CONTRACTS.map(|contract| {
        let body = json!({ "title": format!("by {contract:?}") });
        ada.post(&contract.tasks(&ada), body).expect(201).json()
    });
    for contract in CONTRACTS {
        let list = ada.get(&contract.tasks(&ada)).expect(200).json();
        assert_eq!(list, json!([second, first]));
        assert_eq!(
            ada.get(&contract.task(&ada, id(&first))).expect(200).json(),
            first
        );
    }
}

#[rstest]
fn reading_changes_nothing(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("Buy milk");
    for contract in CONTRACTS {
        for _ in 0..3 {
            let read = ada.get(&contract.task(&ada, id(&task))).expect(200).json();
            assert_eq!(read, task);
        }
    }
}
