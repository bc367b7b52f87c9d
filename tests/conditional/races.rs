//! If several clients write at the same time with the same tag, exactly one of them succeeds.

use std::sync::{Arc, Barrier};
use std::thread;

use rstest::rstest;
use serde_json::json;

use super::{tag, tag_of, write_if};
use crate::support::app::Builder;
use crate::support::task::id;
use crate::support::{
    Actor, CONTRACTS, Contract, Database, OwnDatabase, Postgres, Response, Sqlite, TestApp, statements,
};

const WRITERS: usize = 20;

fn at_once(write: impl Fn(usize) -> Response + Sync) -> Vec<Response> {
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        let (start, write) = (&start, &write);
        let writer = |number| {
            scope.spawn(move || {
                start.wait();
                write(number)
            })
        };
        let threads: Vec<_> = (0..WRITERS).map(writer).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[track_caller]
fn the_only_200(answers: Vec<Response>) -> Response {
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(passed.len(), 1, "{passed:?}");
    assert_eq!(refused.len(), WRITERS - 1);
    for answer in &refused {
        answer.assert_problem(412);
    }
    passed.into_iter().next().unwrap()
}

fn put(user: &Actor, item: &str, tag: &str, number: usize) -> Response {
    write_if(
        user,
        "PUT",
        item,
        tag,
        &json!({ "title": format!("{number}") }).to_string(),
    )
}

#[rstest]
fn exactly_one_of_twenty_puts_with_the_same_tag_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for _ in 0..3 {
            let item = contract.task(&ada, id(&ada.has_task("t")));
            let before = tag_of(&ada, &item);
            let passed = the_only_200(at_once(|number| put(&ada, &item, &before, number)));
            let after = ada.get(&item).expect(200);
            assert_eq!(
                after.body, passed.body,
                "the acknowledged change should be the stored one"
            );
            assert_eq!(tag(&after), tag(&passed));
        }
    }
}

#[rstest]
fn exactly_one_of_twenty_toggles_with_the_same_tag_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let tag = tag_of(&ada, &contract.task(&ada, task));
        let path = contract.complete(&ada, task);
        let passed = the_only_200(at_once(|_| write_if(&ada, "PATCH", &path, &tag, "")));
        assert_eq!(passed.json()["completed"], true);
    }
}

#[rstest]
fn exactly_one_of_several_puts_and_deletes_with_the_same_tag_succeeds(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let tag = tag_of(&ada, &item);
        let answers = at_once(|number| match number % 2 {
            0 => put(&ada, &item, &tag, number),
            _ => write_if(&ada, "DELETE", &item, &tag, ""),
        });
        let passed = answers.iter().filter(|answer| answer.status < 300).count();
        assert_eq!(passed, 1);
        let deleted = answers.iter().any(|answer| answer.status == 204);
        for answer in answers.iter().filter(|answer| answer.status >= 300) {
            // If the DELETE succeeded, a later write may find that the task is missing.
            let expected = if deleted && answer.status == 404 { 404 } else { 412 };
            answer.assert_problem(expected);
        }
    }
}

#[rstest]
fn exactly_one_of_the_writers_at_several_replicas_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let replicas = [(); 2].map(|()| Builder::on(Arc::clone(&database)).start());
    let ada = replicas[0].user("ada");
    let item = Contract::A.task(&ada, id(&ada.has_task("t")));
    let tag = tag_of(&ada, &item);
    the_only_200(at_once(|number| {
        put(&ada.at(replicas[number % 2].target()), &item, &tag, number)
    }));
}

#[test]
fn the_tag_is_compared_in_the_statement_that_writes() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    statements::record(&database);
    let app = Builder::on(database).start();
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    let item = Contract::A.task(&ada, task);
    for (method, path, body) in [
        ("PUT", item.clone(), r#"{"title": "u"}"#),
        ("PATCH", Contract::A.complete(&ada, task), ""),
        ("DELETE", item.clone(), ""),
    ] {
        let tag = tag_of(&ada, &item);
        let before = statements::recorded(&app).len();
        let answer = write_if(&ada, method, &path, &tag, body);
        assert!(answer.status < 300, "{answer}");
        let mut asked = statements::recorded(&app).split_off(before);
        asked.retain(|statement| !statement.is_of_the_connection());
        assert_eq!(asked.len(), 1, "{method} should be one statement: {asked:#?}");
    }
}
