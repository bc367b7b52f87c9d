//! A retry gets the first response again, even if the task has been changed or deleted in between.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use rstest::rstest;
use serde_json::json;

use super::{assert_same, number_of_tasks, post, post_bytes};
use crate::support::app::Builder;
use crate::support::task::{assert_is_task, id};
use crate::support::{CONTRACTS, Contract, Database, OwnDatabase, Postgres, Response, Sqlite, TestApp};

fn whole_task() -> serde_json::Value {
    json!({
        "title": "Buy \"milk\" 😀\n",
        "description": "two litres, e\u{301}",
        "due_date": "2026-05-01T10:00:00.000001+02:00",
        "completed": true,
    })
}

#[rstest]
fn a_retry_gets_the_first_response_byte_for_byte_and_creates_nothing(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        for (number, body) in [whole_task(), json!({ "title": "t" })].iter().enumerate() {
            let key = format!("key {number}");
            let first = post(&ada, &path, &key, body).expect(201);
            assert_is_task(&first.json());
            assert!(first.header("location").is_some() && first.header("etag").is_some());
            for _ in 0..3 {
                assert_same(&post(&ada, &path, &key, body), &first);
            }
            assert_eq!(number_of_tasks(&ada), number + 1);
            let location = first.header("location").unwrap();
            assert_eq!(ada.get(location).expect(200).json(), first.json());
        }
    }
}

#[rstest]
fn a_retry_after_an_update_or_deletion_gets_the_first_response(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        let first = post(&ada, &path, "key", &whole_task()).expect(201);
        let item = contract.task(&ada, id(&first.json()));

        ada.put(&item, json!({ "title": "changed", "due_date": null }))
            .expect(200);
        ada.patch(&format!("{item}/complete")).expect(200);
        assert_same(&post(&ada, &path, "key", &whole_task()), &first);
        assert_eq!(ada.titles(&path), ["changed"]);

        ada.delete(&item).expect(204);
        assert_same(&post(&ada, &path, "key", &whole_task()), &first);
        assert_eq!(number_of_tasks(&ada), 0);
        ada.get(&item).assert_problem(404);
    }
}

/// Version 0.1.0 stored responses without `version`, and a retry may arrive after an upgrade.
#[rstest]
fn a_response_stored_by_an_older_version_is_returned_unchanged(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let path = Contract::A.tasks(&ada);
    let first = post(&ada, &path, "key", &whole_task()).expect(201);
    let text = first.text();
    let (start, _) = text
        .split_once(",\"version\"")
        .expect("`version` should be the last member");
    let old = format!("{start}}}");
    let hex: String = old.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = match app.database().kind {
        Database::Sqlite => format!("x'{hex}'"),
        Database::Postgres => format!("decode('{hex}', 'hex')"),
    };
    let owner = &ada.id;
    app.execute(&format!(
        "UPDATE idempotency_keys SET answer = {bytes} WHERE user_id = '{owner}'"
    ));
    let again = post(&ada, &path, "key", &whole_task()).expect(201);
    assert_eq!(again.text(), old);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(number_of_tasks(&ada), 1);
}

#[rstest]
fn the_same_payload_may_be_written_differently(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        let first = post_bytes(
            &ada,
            &path,
            "key",
            br#"{"title":"Apple","description":"d","completed":false,"due_date":"2026-05-01"}"#,
        );
        let first = first.expect(201);
        for body in [
            "{\n  \"title\": \"Apple\",\r\n\t\"description\": \"d\", \"completed\": false, \
             \"due_date\": \"2026-05-01\"\n}\n",
            r#"{"due_date":"2026-05-01","completed":false,"description":"d","title":"Apple"}"#,
            r#"  {"title":"\u0041pple","description":"\u0064","completed":false,"due_date":"2026-05-01"}"#,
        ] {
            assert_same(&post_bytes(&ada, &path, "key", body.as_bytes()), &first);
        }
        assert_eq!(number_of_tasks(&ada), 1);
    }
}

#[rstest]
fn twenty_concurrent_posts_create_one_task_and_get_the_same_response(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        // The user is new, so the first calls also compete for inserting the row in `users`.
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        for key in ["one", "two", "three"] {
            let start = Barrier::new(20);
            let answers: Vec<Response> = thread::scope(|scope| {
                let call = || {
                    start.wait();
                    post(&ada, &path, key, &whole_task())
                };
                let threads: Vec<_> = (0..20).map(|_| scope.spawn(call)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for answer in &answers {
                assert_eq!(answer.status, 201, "{answer}");
                assert_same(answer, &answers[0]);
            }
        }
        assert_eq!(number_of_tasks(&ada), 3);
    }
}

#[rstest]
fn exactly_one_of_several_concurrent_payloads_under_one_key_is_created(
    #[values(Sqlite, Postgres)] db: Database,
) {
    let app = TestApp::start(db);
    for contract in CONTRACTS {
        let ada = app.user(&format!("ada{contract:?}"));
        let path = contract.tasks(&ada);
        let start = Barrier::new(12);
        let answers: Vec<Response> = thread::scope(|scope| {
            let (ada, path, start) = (&ada, &path, &start);
            let threads: Vec<_> = (0..12)
                .map(|number| {
                    scope.spawn(move || {
                        start.wait();
                        post(ada, path, "key", &json!({ "title": format!("{}", number % 3) }))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((created.len(), refused.len()), (4, 8));
        let bodies: BTreeSet<String> = created.iter().map(|answer| answer.text()).collect();
        assert_eq!(bodies.len(), 1);
        for answer in refused {
            answer.assert_problem(422);
        }
        assert_eq!(number_of_tasks(&ada), 1);
    }
}

#[rstest]
fn a_key_is_kept_across_a_restart_and_known_to_every_replica(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let mut app = Builder::on(Arc::clone(&database)).start();
    let other = Builder::on(database).start();
    let ada = app.user("ada");
    let path = Contract::B.tasks(&ada);
    let first = post(&ada, &path, "key", &whole_task()).expect(201);
    assert_same(
        &post(&ada.at(other.target()), &path, "key", &whole_task()),
        &first,
    );
    app.restart();
    let ada = ada.at(app.target());
    assert_same(&post(&ada, &path, "key", &whole_task()), &first);
    post(&ada, &path, "key", &json!({ "title": "other" })).assert_problem(422);
    app.kill();
    app.restart();
    let ada = ada.at(app.target());
    assert_same(&post(&ada, &path, "key", &whole_task()), &first);
    assert_eq!(number_of_tasks(&ada), 1);
}

#[rstest]
fn a_retry_after_a_lost_response_creates_no_second_task(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let body = json!({ "title": "lost" }).to_string();
    let length = format!("Content-Length: {}", body.len());
    for number in 0..10 {
        let key = format!("Idempotency-Key: {number}");
        let headers = [&*length, &*key, "Content-Type: application/json"];
        let token = ada.token.clone().unwrap();
        let request =
            crate::support::raw::request(&app, "POST /api/tasks", &token, &headers, body.as_bytes());
        // The connection is closed without waiting for the response.
        crate::support::raw::Connection::open(&app).send(request);
        let again = post(
            &ada,
            "/api/tasks",
            &number.to_string(),
            &json!({ "title": "lost" }),
        );
        again.expect(201);
    }
    assert_eq!(number_of_tasks(&ada), 10);
}
