//! Pages are read while other calls insert, change and delete tasks: no task appears twice, and no task that
//! exists throughout is skipped.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use serde_json::{Value, json};

use super::{SORTS, STATUSES, TITLES, ids, walk};
use crate::support::task::id;
use crate::support::{Actor, CONTRACTS, Contract, Database, Postgres, Sqlite, TestApp, random};

#[derive(Clone, Debug)]
struct Case {
    contract: Contract,
    sort: &'static str,
    status: &'static str,
    limit: usize,
    /// The tasks that exist throughout.
    kept: Vec<Draft>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Draft {
    title: &'static str,
    due_day: Option<u32>,
    completed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Draft),
    /// Deletes the oldest of the tasks that this thread inserted.
    Delete,
    /// Changes fields of a permanent task that do not affect its place in the list.
    Change(usize, Draft),
}

impl Draft {
    fn json(&self) -> Value {
        json!({
            "title": self.title,
            "due_date": self.due_day.map(|day| format!("2026-05-{day:02}")),
            "completed": self.completed,
        })
    }
}

fn drafts() -> impl Strategy<Value = Draft> {
    // There are few days and titles, so that many tasks have equal sort keys.
    (select(&TITLES[..]), option::of(1_u32..6), any::<bool>()).prop_map(|(title, due_day, completed)| Draft {
        title,
        due_day,
        completed,
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let step = prop_oneof![
        3 => drafts().prop_map(Step::Insert),
        2 => Just(Step::Delete),
        4 => (any::<prop::sample::Index>(), drafts()).prop_map(|(at, draft)| Step::Change(at.index(64), draft)),
    ];
    (
        select(&CONTRACTS[..]),
        select(&SORTS[..]),
        select(&STATUSES[..]),
        1_usize..6,
        vec(drafts(), 10..24),
        vec(step, 30..60),
    )
        .prop_map(|(contract, sort, status, limit, kept, steps)| Case {
            contract,
            sort,
            status,
            limit,
            kept,
            steps,
        })
}

/// Returns a change of all fields that do not affect the task's place in the list of this case.
fn unrelated_change(case: &Case, draft: &Draft) -> Value {
    let mut change = draft.json();
    let members = change.as_object_mut().unwrap();
    match case.sort {
        "title" => members.remove("title"),
        "due_date" => members.remove("due_date"),
        _ => None,
    };
    if case.status != "all" {
        members.remove("completed");
    }
    members.insert("description".to_owned(), json!(draft.title));
    change
}

fn make_changes(user: &Actor, case: &Case, kept: &[i64], steps: &[Step]) {
    let mut inserted = Vec::new();
    for step in steps {
        match step {
            Step::Insert(draft) => inserted.push(id(&user.creates(draft.json()))),
            Step::Delete if inserted.is_empty() => {}
            Step::Delete => {
                let oldest = inserted.remove(0);
                user.delete(&case.contract.task(user, oldest)).expect(204);
            }
            Step::Change(at, draft) => {
                let task = kept[at % kept.len()];
                let path = case.contract.task(user, task);
                user.put(&path, unrelated_change(case, draft)).expect(200);
                if case.status == "all" {
                    user.patch(&case.contract.complete(user, task)).expect(200);
                }
            }
        }
    }
}

fn run_case(app: &TestApp, case: &Case) {
    let user = app.user(&random::suffix());
    let kept: Vec<i64> = case
        .kept
        .iter()
        .map(|draft| id(&user.creates(draft.json())))
        .collect();
    let path = format!(
        "{}?sort={}&status={}",
        case.contract.tasks(&user),
        case.sort,
        case.status
    );
    let before = user.get(&path).expect(200).json();
    let expected = ids(before.as_array().unwrap());

    thread::scope(|scope| {
        let threads: Vec<_> = case
            .steps
            .chunks(case.steps.len().div_ceil(2))
            .map(|steps| {
                let (user, kept) = (&user, &kept);
                scope.spawn(move || make_changes(user, case, kept, steps))
            })
            .collect();
        // The pages are read once more after the last change, so that at least one complete walk takes place.
        loop {
            let finished = threads.iter().all(std::thread::ScopedJoinHandle::is_finished);
            let walked = ids(&walk(&user, &format!("{path}&limit={}", case.limit)).concat());
            let once: BTreeSet<i64> = walked.iter().copied().collect();
            assert_eq!(once.len(), walked.len(), "a task appears twice: {walked:?}");
            let found: Vec<i64> = walked
                .into_iter()
                .filter(|task| expected.contains(task))
                .collect();
            assert_eq!(found, expected, "the permanent tasks should all appear, in order");
            if finished {
                break;
            }
        }
    });
}

#[rstest]
fn pages_read_during_changes_repeat_and_skip_no_task(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let mut runner = TestRunner::new(Config {
        cases: 10,
        failure_persistence: None,
        // The same case rarely reproduces a race condition, so shrinking would only take time.
        max_shrink_iters: 0,
        ..Config::default()
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let result = runner.run(&cases(), |case| {
        // On a slow machine, the remaining cases are skipped.
        if Instant::now() < deadline {
            run_case(&app, &case);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
