//! Random calls of three users are compared with a model: no user can see or change the tasks of another.

mod model;
mod steps;

use std::time::{Duration, Instant};

use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use serde_json::json;

use self::model::Model;
use self::steps::{SORTS, Step, steps};
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp, random};

fn run_steps(app: &TestApp, case: &str, steps: &[Step]) {
    let users: Vec<Actor> = ["ada", "bob", "eve"]
        .iter()
        .map(|name| app.user(&format!("{name}-{case}")))
        .collect();
    let mut model = Model {
        users,
        tasks: vec![Vec::new(); 3],
        ids: Vec::new(),
    };
    for step in steps {
        model.apply(step);
    }
    // At the end, each user's complete list is compared through both contracts and in every sort order.
    for user in 0..3 {
        for contract in CONTRACTS {
            for sort in 0..SORTS.len() {
                model.compare(user, contract, 0, sort);
            }
        }
        for task in model.tasks[user].clone() {
            let actor = &model.users[user];
            let read = actor.get(&Contract::A.task(actor, id(&task))).expect(200);
            assert_eq!(read.json(), task);
            for other in (0..3).filter(|other| *other != user) {
                let other = &model.users[other];
                other.get(&Contract::A.task(other, id(&task))).assert_problem(404);
                other.get(&Contract::B.task(actor, id(&task))).assert_problem(403);
            }
        }
    }
}

#[rstest]
fn random_calls_of_three_users_match_the_model(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    });
    let deadline = Instant::now() + Duration::from_mins(1);
    let result = runner.run(&steps(), |steps| {
        // On a slow machine, the remaining cases are skipped.
        if Instant::now() < deadline {
            run_steps(&app, &random::suffix(), &steps);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[rstest]
fn a_user_never_sees_or_changes_another_users_tasks(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let eve = app.user("eve");
    let task = ada.has_task("Ada's secret");
    for contract in CONTRACTS {
        for query in ["", "?sort=title", "?sort=due_date", "?status=pending"] {
            let answer = eve.get(&format!("{}{query}", contract.tasks(&eve))).expect(200);
            assert_eq!(answer.json(), json!([]));
        }
        let item = contract.task(&eve, id(&task));
        eve.put(&item, json!({ "title": "stolen" })).assert_problem(404);
        eve.patch(&contract.complete(&eve, id(&task))).assert_problem(404);
        eve.delete(&item).assert_problem(404);
    }
    assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([task]));
}

#[rstest]
fn users_with_similar_ids_are_different_users(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let start = app.unique("ada");
    let ids = [
        start.clone(),
        start.to_uppercase(),
        format!("{start} "),
        format!(" {start}"),
        format!("{start}é"),
        format!("{start}e\u{301}"),
        format!("{start}%"),
        format!("{start}_"),
    ];
    for user_id in &ids {
        app.user_with_id(user_id).has_task(user_id);
    }
    for user_id in &ids {
        assert_eq!(app.user_with_id(user_id).titles("/api/tasks"), [user_id.as_str()]);
    }
}
