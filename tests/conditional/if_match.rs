//! `If-Match`: a write succeeds only if a tag in this header matches the current state of the task.

use rstest::rstest;
use serde_json::json;

use super::{tag, tag_of, write_if};
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp};

/// Returns the method, path and body of every kind of write that can be conditional.
fn writes(contract: Contract, user: &Actor, task: i64) -> [(&'static str, String, &'static str); 4] {
    let item = contract.task(user, task);
    let complete = contract.complete(user, task);
    [
        ("PUT", item.clone(), r#"{"title": "mine"}"#),
        ("PATCH", complete.clone(), ""),
        ("PATCH", complete, r#"{"completed": true}"#),
        ("DELETE", item, ""),
    ]
}

#[track_caller]
fn assert_refused(user: &Actor, contract: Contract, task: i64, tags: &str) {
    let item = contract.task(user, task);
    let before = user.get(&item).expect(200);
    for (method, path, body) in writes(contract, user, task) {
        write_if(user, method, &path, tags, body).assert_problem(412);
        let after = user.get(&item).expect(200);
        assert_eq!(after.body, before.body, "{method} with {tags} changed the task");
        assert_eq!(tag(&after), tag(&before));
    }
}

#[rstest]
fn a_write_with_the_current_tag_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let item = contract.task(&ada, task);
        for (method, path, body) in writes(contract, &ada, task) {
            let tag = tag_of(&ada, &item);
            let expected = if method == "DELETE" { 204 } else { 200 };
            write_if(&ada, method, &path, &tag, body).expect(expected);
        }
        ada.get(&item).assert_problem(404);
    }
}

#[rstest]
fn a_sequence_of_writes_succeeds_with_the_tags_of_the_responses(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let created = ada
            .post(&contract.tasks(&ada), json!({ "title": "t" }))
            .expect(201);
        let item = contract.task(&ada, id(&created.json()));
        let mut last = created;
        for number in 0..5 {
            let body = format!(r#"{{"title": "{number}"}}"#);
            last = write_if(&ada, "PUT", &item, &tag(&last), &body).expect(200);
            last = write_if(&ada, "PATCH", &format!("{item}/complete"), &tag(&last), "").expect(200);
        }
        write_if(&ada, "DELETE", &item, &tag(&last), "").expect(204);
    }
}

#[rstest]
fn a_stale_tag_is_412_and_nothing_changes(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let item = contract.task(&ada, task);
        let stale = tag_of(&ada, &item);
        ada.put(&item, json!({ "title": "somebody was faster" }))
            .expect(200);
        assert_refused(&ada, contract, task, &stale);
        assert_refused(&ada, contract, task, &format!("{stale}, \"other\""));
    }
}

#[rstest]
fn a_stale_tag_is_412_even_when_there_is_nothing_to_change(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let stale = tag_of(&ada, &item);
        let current = tag(&ada.put(&item, json!({ "title": "u" })).expect(200));
        write_if(&ada, "PUT", &item, &stale, "{}").assert_problem(412);
        let passed = write_if(&ada, "PUT", &item, &current, "{}").expect(200);
        assert_eq!(tag(&passed), current);
        write_if(&ada, "PUT", &item, "*", "{}").expect(200);
    }
}

#[rstest]
fn a_star_matches_while_the_task_exists(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        for (method, path, body) in writes(contract, &ada, task) {
            let expected = if method == "DELETE" { 204 } else { 200 };
            write_if(&ada, method, &path, "*", body).expect(expected);
        }
    }
}

#[rstest]
fn one_matching_tag_of_several_is_enough(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let body = r#"{"title": "u"}"#;
        let right = tag_of(&ada, &item);
        let answer = write_if(&ada, "PUT", &item, &format!("\"other\", {right}"), body).expect(200);
        let right = tag(&answer);
        let answer = write_if(&ada, "PUT", &item, &format!("{right},W/\"x\""), body).expect(200);
        let right = tag(&answer);
        let lines = [
            ("if-match", "\"other\""),
            ("if-match", right.as_str()),
            ("content-type", "application/json"),
        ];
        ada.request("PUT", &item, &lines, body.as_bytes()).expect(200);
    }
}

#[rstest]
fn a_weak_tag_never_matches(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let tag = tag_of(&ada, &contract.task(&ada, task));
        assert_refused(&ada, contract, task, &format!("W/{tag}"));
        assert_refused(&ada, contract, task, &format!("\"other\", W/{tag}"));
    }
}

#[rstest]
fn a_tag_that_only_resembles_the_current_one_does_not_match(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let task = id(&ada.has_task("t"));
        let tag = tag_of(&ada, &contract.task(&ada, task));
        let inside = tag.trim_matches('"');
        // According to section 8.8.3.2 of RFC 9110, two strong tags match only if they are identical character by
        // character.
        for tags in [
            format!("\"0{inside}\""),
            format!("\"+{inside}\""),
            format!("\"-{inside}\""),
            format!("\"{inside}0\""),
            format!("\"{inside}.0\""),
            format!("\"{inside}-gzip\""),
            "\"*\"".to_owned(),
            "*, \"other\"".to_owned(),
            format!("\"{tag}\""),
            "\"\"".to_owned(),
            "\"99999999999999999999999999\"".to_owned(),
        ] {
            assert_refused(&ada, contract, task, &tags);
        }
    }
}

#[rstest]
fn a_write_with_an_unquoted_tag_never_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let before = ada.get(&item).expect(200);
        for tags in [tag(&before).trim_matches('"'), ""] {
            // The header contains no valid tag. The service may refuse it as invalid, or because no tag matches.
            let answer = write_if(&ada, "PUT", &item, tags, r#"{"title": "u"}"#);
            let acceptable = [412, 400, contract.bad_input()].contains(&answer.status);
            assert!(acceptable, "{answer}");
            answer.assert_problem(answer.status);
        }
        assert_eq!(ada.get(&item).expect(200).body, before.body);
    }
}

#[rstest]
fn a_missing_or_foreign_task_is_404_whatever_the_tag(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let bob = app.user("bob");
    let foreign = id(&bob.has_task("Bob's"));
    let deleted = id(&ada.has_task("t"));
    let tag = tag_of(&ada, &format!("/api/tasks/{deleted}"));
    ada.delete(&format!("/api/tasks/{deleted}")).expect(204);
    for contract in CONTRACTS {
        for tags in [tag.as_str(), "\"other\"", "W/\"x\"", "*"] {
            let mut answers = Vec::new();
            for task in [foreign, deleted, 999_999_999] {
                for (method, path, body) in writes(contract, &ada, task) {
                    let answer = write_if(&ada, method, &path, tags, body);
                    answer.assert_problem(404);
                    answers.push(answer.body_without_request_id());
                }
            }
            answers.dedup();
            assert_eq!(answers.len(), 1, "all responses should be identical: {answers:?}");
        }
    }
    assert_eq!(bob.titles("/api/tasks"), ["Bob's"]);
}
