//! `PATCH` of a task's `/complete`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::task::{id, time};
use crate::support::{Actor, CONTRACTS, Database, Postgres, Sqlite, TestApp};

/// Toggles a task this many times concurrently, and returns `completed` of each response.
fn toggle_at_once(user: &Actor, path: &str, times: usize) -> Vec<bool> {
    std::thread::scope(|scope| {
        let toggles: Vec<_> = (0..times)
            .map(|_| scope.spawn(|| user.patch(path).expect(200).json()["completed"].clone()))
            .collect();
        let answers = toggles
            .into_iter()
            .map(|toggle| toggle.join().unwrap().as_bool().unwrap());
        answers.collect()
    })
}

#[rstest]
fn a_toggle_flips_and_flips_back(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.creates(json!({ "title": "Buy milk", "description": "Two litres" }));
        let path = contract.complete(&ada, id(&task));

        let mut expected = task.clone();
        for completed in [true, false, true] {
            let toggled = ada.patch(&path).expect(200).json();
            assert!(time(&toggled["updated_at"]) >= time(&expected["updated_at"]));
            expected["completed"] = json!(completed);
            expected["updated_at"] = toggled["updated_at"].clone();
            expected["version"] = json!(expected["version"].as_i64().unwrap() + 1);
            assert_eq!(toggled, expected);
            let read = ada.get(&contract.task(&ada, id(&task))).expect(200);
            assert_eq!(read.json(), expected);
        }
    }
}

#[rstest]
fn an_empty_body_with_a_media_type_toggles_too(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.complete(&ada, id(&ada.has_task("Buy milk")));
        let headers = [("content-type", "application/json")];
        let toggled = ada.request("PATCH", &path, &headers, b"").expect(200).json();
        assert_eq!(toggled["completed"], true);
    }
}

#[rstest]
fn a_body_sets_the_state_so_that_a_client_can_retry(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.complete(&ada, id(&ada.has_task("Buy milk")));
        for completed in [true, true, false, false, true] {
            let set = ada.json("PATCH", &path, &json!({ "completed": completed }));
            assert_eq!(set.expect(200).json()["completed"], completed);
        }
    }
}

#[rstest]
fn a_body_that_sets_the_state_to_another_type_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.has_task("Buy milk");
        let path = contract.complete(&ada, id(&task));
        for wrong in [
            json!("true"),
            json!(1),
            json!(0),
            Value::Null,
            json!([]),
            json!({}),
        ] {
            let answer = ada.json("PATCH", &path, &json!({ "completed": wrong }));
            answer.assert_bad_fields(contract, &["completed"]);
        }
        assert_eq!(ada.get(&contract.task(&ada, id(&task))).expect(200).json(), task);
    }
}

#[rstest]
fn parallel_toggles_are_never_lost(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = ada.has_task("contended");
        let path = contract.complete(&ada, id(&task));
        let completed = || {
            let read = ada.get(&contract.task(&ada, id(&task))).expect(200);
            read.json()["completed"].as_bool().unwrap()
        };

        let answers = toggle_at_once(&ada, &path, 50);
        // Half of the toggles must have completed the task.
        assert_eq!(answers.iter().filter(|completed| **completed).count(), 25);
        assert!(
            !completed(),
            "an even number of toggles should not change the state"
        );

        let answers = toggle_at_once(&ada, &path, 51);
        assert_eq!(answers.iter().filter(|completed| **completed).count(), 26);
        assert!(completed(), "an odd number of toggles should change the state");
    }
}
