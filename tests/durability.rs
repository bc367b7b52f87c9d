//! Acknowledged writes survive a restart and a kill, and every replica sees them at once.

use std::sync::Arc;

use rstest::rstest;
use serde_json::json;

use crate::support::app::Builder;
use crate::support::task::id;
use crate::support::{Database, OwnDatabase, Postgres, Sqlite, TestApp};

#[rstest]
fn tasks_survive_a_restart(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let kept = ada.creates(json!({
        "title": "kept 😀", "description": "d", "due_date": "2026-03-01T10:00:00.000001Z",
    }));
    let toggled = ada.has_task("toggled");
    let toggled = ada
        .patch(&format!("/api/tasks/{}/complete", id(&toggled)))
        .expect(200)
        .json();
    let deleted = id(&ada.has_task("deleted"));
    ada.delete(&format!("/api/tasks/{deleted}")).expect(204);

    for _ in 0..2 {
        app.restart();
        let ada = app.user("ada");
        assert_eq!(ada.get("/api/tasks").expect(200).json(), json!([toggled, kept]));
        ada.get(&format!("/api/tasks/{deleted}")).assert_problem(404);
    }
    let ada = app.user("ada");
    let task = format!("/api/tasks/{}", id(&kept));
    ada.patch(&format!("{task}/complete")).expect(200);
    ada.put(&task, json!({ "title": "changed" })).expect(200);
    ada.delete(&task).expect(204);
    assert!(id(&ada.has_task("new")) > deleted, "ids must not be reused");
}

#[rstest]
fn acknowledged_tasks_survive_a_kill(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let mut app = TestApp::builder(db).start();
    let ada = app.user("ada");
    let mut acknowledged: Vec<String> = (0..20)
        .map(|number| {
            let title = format!("task {number:02}");
            ada.has_task(&title);
            title
        })
        .collect();
    app.kill();
    app.restart();
    let mut titles = app.user("ada").titles("/api/tasks");
    titles.sort();
    acknowledged.sort();
    assert_eq!(titles, acknowledged);
}

#[rstest]
fn four_replicas_started_at_once_on_an_empty_database_all_serve(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let replicas: Vec<TestApp> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| Builder::on(Arc::clone(&database)).start()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("each replica should start"))
            .collect()
    });
    let ada = replicas[0].user("ada");
    for replica in &replicas {
        ada.at(replica.target()).has_task("from each");
    }
    for replica in &replicas {
        let titles = ada.at(replica.target()).titles("/api/tasks");
        assert_eq!(titles, ["from each"; 4]);
    }
}

#[rstest]
fn replicas_see_each_others_writes_at_once(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let one = Builder::on(Arc::clone(&database)).start();
    let two = Builder::on(database).start();
    let here = one.user("ada");
    let there = here.at(two.target());
    for number in 0..10 {
        let task = here.has_task(&format!("{number}"));
        let path = format!("/api/tasks/{}", id(&task));
        assert_eq!(there.get(&path).expect(200).json(), task);
        there.patch(&format!("{path}/complete")).expect(200);
        assert_eq!(here.get(&path).expect(200).json()["completed"], true);
        there.delete(&path).expect(204);
        here.get(&path).assert_problem(404);
    }
}

#[rstest]
fn toggles_through_several_replicas_are_never_lost(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(db));
    let replicas = [(); 2].map(|()| Builder::on(Arc::clone(&database)).start());
    let ada = replicas[0].user("ada");
    let task = id(&ada.has_task("contended"));
    let path = format!("/api/tasks/{task}/complete");
    std::thread::scope(|scope| {
        for number in 0..31 {
            let actor = ada.at(replicas[number % 2].target());
            let path = &path;
            scope.spawn(move || actor.patch(path).expect(200));
        }
    });
    let task = ada.get(&format!("/api/tasks/{task}")).expect(200).json();
    assert_eq!(task["completed"], true);
}

#[rstest]
fn many_writers_at_once_all_succeed(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let app = TestApp::builder(db).start();
    std::thread::scope(|scope| {
        for number in 0..24 {
            let user = app.user(&format!("u{}", number % 6));
            scope.spawn(move || {
                for round in 0..5 {
                    user.has_task(&format!("{number} {round}"));
                }
            });
        }
    });
    assert_eq!(app.value("SELECT count(*) FROM tasks").as_deref(), Some("120"));
}

#[test]
fn sqlite_is_in_wal_mode_so_that_others_can_read_meanwhile() {
    skip_at_a_deployment!();
    let app = TestApp::builder(crate::support::Database::Sqlite).start();
    app.user("ada").has_task("t");
    assert_eq!(
        app.value("SELECT journal_mode FROM pragma_journal_mode")
            .as_deref(),
        Some("wal"),
    );
}
