//! A tag identifies one state of a task or of a list.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rstest::rstest;
use serde_json::json;

use super::{get_unless, tag, tag_of, write_if};
use crate::support::task::id;
use crate::support::{CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn every_response_with_a_task_has_the_tag_of_a_read(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let created = ada
            .post(&contract.tasks(&ada), json!({ "title": "t" }))
            .expect(201);
        let item = contract.task(&ada, id(&created.json()));
        assert_eq!(tag(&created), tag_of(&ada, &item));
        let put = ada.put(&item, json!({ "title": "u" })).expect(200);
        assert_eq!(tag(&put), tag_of(&ada, &item));
        let toggled = ada.patch(&format!("{item}/complete")).expect(200);
        assert_eq!(tag(&toggled), tag_of(&ada, &item));
        let head = ada.request("HEAD", &item, &[], b"").expect(200);
        assert_eq!(tag(&head), tag_of(&ada, &item));
    }
}

#[rstest]
fn a_tasks_version_is_the_number_in_its_tag(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let item = contract.task(&ada, task);
        for version in 1..4 {
            let read = ada.get(&item).expect(200);
            assert_eq!(read.json()["version"], version);
            assert_eq!(tag(&read), format!("\"{version}\""));
            let list = ada.get(&contract.tasks(&ada)).expect(200).json();
            let listed = list.as_array().unwrap().iter().find(|listed| id(listed) == task);
            // The version in a list is sufficient for a safe write.
            let tag = format!("\"{}\"", listed.unwrap()["version"]);
            write_if(&ada, "PUT", &item, &tag, r#"{"title": "u"}"#).expect(200);
            write_if(&ada, "PUT", &item, &tag, r#"{"title": "v"}"#).assert_problem(412);
        }
    }
}

/// Version 0.1.0 derived the tag of a list from the ids and versions of its tasks. If the tag were still the same,
/// caches would keep lists whose tasks have no `version`.
#[rstest]
fn the_tag_of_a_list_differs_from_that_of_version_0_1_0(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = ada.has_task("t");
    for ids_and_versions in [vec![id(&task), 1], vec![]] {
        let bytes: Vec<u8> = ids_and_versions
            .iter()
            .flat_map(|n: &i64| n.to_le_bytes())
            .collect();
        let digest = digest::digest(&digest::SHA256, &bytes);
        let old = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
        let path = if ids_and_versions.is_empty() {
            "/api/tasks?status=completed"
        } else {
            "/api/tasks"
        };
        let answer = get_unless(&ada, path, &old).expect(200);
        let now = tag(&answer);
        get_unless(&ada, path, &now).expect(304);
    }
}

#[rstest]
fn both_contracts_have_the_same_tag_for_the_same_task_and_list(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    for path in [
        |contract: Contract, user: &_, task| contract.task(user, task),
        |contract: Contract, user: &_, _| contract.tasks(user),
    ] {
        let [a, b] = CONTRACTS.map(|contract| tag_of(&ada, &path(contract, &ada, task)));
        assert_eq!(a, b);
    }
}

#[rstest]
fn fifty_updates_have_fifty_tags(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let mut tags = BTreeSet::from([tag_of(&ada, &item)]);
        for _ in 0..50 {
            // The title stays the same, but every update that sets a field changes the tag.
            let answer = ada.put(&item, json!({ "title": "same" })).expect(200);
            assert!(tags.insert(tag(&answer)), "the tag is not new: {answer}");
        }
        assert_eq!(tags.len(), 51);
    }
}

#[rstest]
fn updates_at_the_same_moment_have_different_tags(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let item = Contract::A.task(&ada, id(&ada.has_task("t")));
    let tags: Vec<String> = std::thread::scope(|scope| {
        let update = |_| {
            scope.spawn(|| {
                let updates = (0..10).map(|_| tag(&ada.put(&item, json!({ "title": "u" })).expect(200)));
                updates.collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..8).map(update).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let different: BTreeSet<&String> = tags.iter().collect();
    assert_eq!(different.len(), 80);
}

#[rstest]
fn a_tag_does_not_depend_on_the_time_of_the_update(#[values(Sqlite, Postgres)] db: Database) {
    skip_without_the_database!();
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let item = Contract::A.task(&ada, id(&ada.has_task("t")));
    let first = ada.put(&item, json!({ "title": "one" })).expect(200);
    let second = ada.put(&item, json!({ "title": "two" })).expect(200);
    // This statement changes only the time of the last update.
    let owner = &ada.id;
    app.execute(&format!(
        "UPDATE tasks SET updated_at = created_at WHERE user_id = '{owner}'"
    ));
    assert_ne!(tag(&first), tag(&second));
    assert_eq!(tag_of(&ada, &item), tag(&second));
}

#[rstest]
fn an_empty_update_changes_neither_the_task_nor_its_tag(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let before = ada.get(&item).expect(200);
        let answer = ada.put(&item, json!({})).expect(200);
        assert_eq!(tag(&answer), tag(&before));
        assert_eq!(answer.body, before.body);
    }
}

#[rstest]
fn the_tag_of_a_list_changes_only_when_the_list_does(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let bob = app.user("bob");
    for contract in CONTRACTS {
        let list = contract.tasks(&ada);
        let mut seen = BTreeSet::from([tag_of(&ada, &list)]);
        let task = id(&ada.has_task("one"));
        assert!(
            seen.insert(tag_of(&ada, &list)),
            "the tag should change with a new task"
        );
        let other = id(&ada.has_task("two"));
        assert!(
            seen.insert(tag_of(&ada, &list)),
            "the tag should change with another task"
        );
        ada.put(&contract.task(&ada, task), json!({ "description": "d" }))
            .expect(200);
        assert!(
            seen.insert(tag_of(&ada, &list)),
            "the tag should change with an update"
        );
        ada.patch(&contract.complete(&ada, task)).expect(200);
        let before = tag_of(&ada, &list);
        assert!(seen.insert(before.clone()), "the tag should change with a toggle");

        bob.has_task("Bob's");
        ada.put(&contract.task(&ada, task), json!({})).expect(200);
        assert_eq!(tag_of(&ada, &list), before);

        ada.delete(&contract.task(&ada, other)).expect(204);
        assert!(
            seen.insert(tag_of(&ada, &list)),
            "the tag should change with a deletion"
        );
    }
}

#[rstest]
fn lists_with_another_order_or_selection_have_different_tags(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.creates(json!({ "title": "b", "due_date": "2026-05-02" }));
    ada.creates(json!({ "title": "c", "due_date": "2026-05-01" }));
    ada.creates(json!({ "title": "a", "completed": true }));
    let queries = ["", "?sort=title", "?sort=due_date", "?status=pending", "?limit=1"];
    for contract in CONTRACTS {
        let bodies = queries.map(|query| {
            let answer = ada.get(&format!("{}{query}", contract.tasks(&ada))).expect(200);
            (tag(&answer), answer.text())
        });
        let tags: BTreeSet<&String> = bodies.iter().map(|(tag, _)| tag).collect();
        let texts: BTreeSet<&String> = bodies.iter().map(|(_, text)| text).collect();
        assert_eq!(texts.len(), queries.len());
        assert_eq!(tags.len(), queries.len(), "{bodies:?}");
    }
}
