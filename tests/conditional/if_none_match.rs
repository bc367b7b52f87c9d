//! `If-None-Match`: the response is 304 if the client already has the current representation.

use rstest::rstest;
use serde_json::json;

use super::{get_unless, tag, tag_of};
use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Response, Sqlite, TestApp};

#[track_caller]
fn assert_not_modified(answer: &Response, expected: &str) {
    assert_eq!(answer.status, 304, "{answer}");
    assert_eq!(tag(answer), expected);
    assert_eq!(answer.body, b"", "{answer}");
    answer.request_id();
}

#[rstest]
fn a_current_representation_is_not_sent_again(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    for contract in CONTRACTS {
        for path in [
            contract.task(&ada, task),
            contract.tasks(&ada),
            format!("{}?sort=title&limit=1", contract.tasks(&ada)),
            format!("{}?status=completed", contract.tasks(&ada)),
        ] {
            let tag = tag_of(&ada, &path);
            for tags in [
                tag.clone(),
                format!("W/{tag}"),
                format!("\"other\", {tag}"),
                format!("{tag},\"other\""),
                format!("  W/\"other\" ,\t{tag} , \"more\""),
                "*".to_owned(),
            ] {
                assert_not_modified(&get_unless(&ada, &path, &tags), &tag);
                let head = ada.request("HEAD", &path, &[("if-none-match", &tags)], b"");
                assert_not_modified(&head, &tag);
            }
            let lines = [("if-none-match", "\"other\""), ("if-none-match", tag.as_str())];
            assert_not_modified(&ada.request("GET", &path, &lines, b""), &tag);
        }
    }
}

#[rstest]
fn a_representation_that_no_tag_matches_is_sent(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("t"));
    for contract in CONTRACTS {
        for path in [contract.task(&ada, task), contract.tasks(&ada)] {
            let whole = ada.get(&path).expect(200);
            let inside = tag(&whole).trim_matches('"').to_owned();
            for tags in [
                "\"other\"".to_owned(),
                "W/\"other\", \"more\"".to_owned(),
                format!("\"{inside}x\""),
                format!("\"x{inside}\""),
                format!("\"0{inside}\""),
                // The next two are not valid tags: a tag needs quotes, and `W/` must be in upper case.
                inside.clone(),
                format!("w/\"{inside}\""),
                "\"*\"".to_owned(),
                // A single tag of another server, which contains commas.
                "\"x,*,y\"".to_owned(),
            ] {
                let answer = get_unless(&ada, &path, &tags).expect(200);
                assert_eq!(answer.body, whole.body, "{tags}");
                assert_eq!(tag(&answer), tag(&whole));
            }
        }
    }
}

#[rstest]
fn a_changed_representation_is_sent(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let item = contract.task(&ada, id(&ada.has_task("t")));
        let list = contract.tasks(&ada);
        let before = [tag_of(&ada, &item), tag_of(&ada, &list)];
        let put = ada.put(&item, json!({ "title": "new" })).expect(200);
        let answer = get_unless(&ada, &item, &before[0]).expect(200);
        assert_eq!(answer.json()["title"], "new");
        assert_eq!(
            get_unless(&ada, &list, &before[1]).expect(200).json()[0],
            put.json()
        );
        // The tag in the response to a write must work like the tag in the response to a read.
        assert_not_modified(&get_unless(&ada, &item, &tag(&put)), &tag(&put));
    }
}

#[rstest]
fn a_missing_task_is_404_whatever_the_tag(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let bob = app.user("bob");
    let foreign = id(&bob.has_task("Bob's"));
    let tag = tag_of(&bob, &format!("/api/tasks/{foreign}"));
    for contract in CONTRACTS {
        for missing in [foreign.to_string(), "999999999".to_owned(), "abc".to_owned()] {
            for tags in [tag.as_str(), "*"] {
                get_unless(&ada, &contract.task(&ada, &missing), tags).assert_problem(404);
            }
        }
    }
}

#[rstest]
fn a_page_gets_another_tag_when_a_next_page_appears(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in ["a", "b"] {
        ada.has_task(title);
    }
    let path = "/api/tasks?limit=2&sort=title";
    let page = ada.get(path).expect(200);
    assert_eq!(page.header("link"), None);
    ada.has_task("c");
    let same_tasks = get_unless(&ada, path, &tag(&page)).expect(200);
    assert_eq!(same_tasks.json(), page.json());
    assert!(same_tasks.header("link").is_some());
}

#[rstest]
fn a_304_for_a_page_has_the_same_next_link_or_none(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in ["a", "b", "c"] {
        ada.has_task(title);
    }
    for contract in CONTRACTS {
        let path = format!("{}?limit=2", contract.tasks(&ada));
        let page = ada.get(&path).expect(200);
        let again = get_unless(&ada, &path, &tag(&page));
        assert_not_modified(&again, &tag(&page));
        // A 304 may omit headers that the client already has, but must not contain other values.
        let link = again.header("link");
        assert!(link.is_none() || link == page.header("link"), "{again}");
    }
}
