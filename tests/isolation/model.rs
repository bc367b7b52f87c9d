//! The expected state of the service, and comparisons with the responses.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::steps::{Action, SORTS, STATUSES, Step, WORDS, due_date};
use crate::support::task::{assert_is_task, id};
use crate::support::{Actor, CONTRACTS, Contract};

/// The expected state: each user's tasks, oldest first.
pub struct Model {
    pub users: Vec<Actor>,
    pub tasks: Vec<Vec<Value>>,
    /// Every id that the service has assigned.
    pub ids: Vec<i64>,
}

impl Model {
    pub fn apply(&mut self, step: &Step) {
        let user = self.users[step.user].clone();
        let contract = CONTRACTS[step.contract];
        match &step.action {
            Action::Create { word, due, completed } => {
                // The number makes the title unique, so that there is only one correct order by title.
                let title = format!("{} {:04}", WORDS[*word], self.ids.len());
                let due = due.map(due_date);
                let body = json!({ "title": title, "due_date": due, "completed": completed });
                let task = user.post(&contract.tasks(&user), body).expect(201).json();
                assert_is_task(&task);
                assert_eq!(task["user_id"], *user.id);
                assert_eq!(task["title"], title);
                assert_eq!(task["due_date"], json!(due));
                assert_eq!(task["completed"], *completed);
                assert!(!self.ids.contains(&id(&task)), "the id was assigned before");
                self.ids.push(id(&task));
                self.tasks[step.user].push(task);
            }
            Action::Read(task) => self.with_task(step.user, *task, |path, expected| {
                let answer = user.get(&path(contract));
                match expected {
                    Some(task) => assert_eq!(answer.expect(200).json(), *task),
                    None => drop(answer.assert_problem(404)),
                }
            }),
            Action::Update { task, fields } => self.with_task(step.user, *task, |path, expected| {
                let body = fields.body();
                let answer = user.put(&path(contract), body.clone());
                match expected {
                    Some(task) => {
                        merge(task, &body);
                        compare_and_update(task, &answer.expect(200).json());
                    }
                    None => drop(answer.assert_problem(404)),
                }
            }),
            Action::Toggle(task) => self.with_task(step.user, *task, |path, expected| {
                let answer = user.patch(&format!("{}/complete", path(contract)));
                match expected {
                    Some(task) => {
                        task["completed"] = json!(task["completed"] == false);
                        compare_and_update(task, &answer.expect(200).json());
                    }
                    None => drop(answer.assert_problem(404)),
                }
            }),
            Action::Set(task, set) => self.with_task(step.user, *task, |path, expected| {
                let path = format!("{}/complete", path(contract));
                let answer = user.json("PATCH", &path, &json!({ "completed": set }));
                match expected {
                    Some(task) => {
                        task["completed"] = json!(set);
                        compare_and_update(task, &answer.expect(200).json());
                    }
                    None => drop(answer.assert_problem(404)),
                }
            }),
            Action::Delete(task) => {
                let named = self.ids.get(*task).copied().unwrap_or(9_007_199_254_740_000);
                let answer = user.delete(&contract.task(&user, named));
                let before = self.tasks[step.user].len();
                self.tasks[step.user].retain(|task| id(task) != named);
                if self.tasks[step.user].len() < before {
                    answer.expect(204);
                } else {
                    answer.assert_problem(404);
                }
            }
            Action::List { status, sort } => self.compare(step.user, contract, *status, *sort),
        }
    }

    /// Calls `check` with a function that returns the path of a task, and with the user's task in the model,
    /// if there is one.
    fn with_task(
        &mut self,
        user: usize,
        task: usize,
        check: impl FnOnce(&dyn Fn(Contract) -> String, Option<&mut Value>),
    ) {
        let named = self.ids.get(task).copied().unwrap_or(9_007_199_254_740_000);
        let actor = self.users[user].clone();
        let expected = self.tasks[user].iter_mut().find(|task| id(task) == named);
        check(&|contract| contract.task(&actor, named), expected);
    }

    pub fn compare(&self, user: usize, contract: Contract, status: usize, sort: usize) {
        let actor = &self.users[user];
        let mut expected: Vec<&Value> = self.tasks[user]
            .iter()
            .filter(|task| match STATUSES[status] {
                "pending" => task["completed"] == false,
                "completed" => task["completed"] == true,
                _ => true,
            })
            .collect();
        let path = format!(
            "{}?status={}&sort={}",
            contract.tasks(actor),
            STATUSES[status],
            SORTS[sort]
        );
        let list = actor.get(&path).expect(200).json();
        let listed: Vec<&Value> = list
            .as_array()
            .expect("the body should be an array")
            .iter()
            .collect();
        match SORTS[sort] {
            "created" => {
                expected.reverse();
                assert_eq!(listed, expected);
            }
            "title" => {
                expected.sort_by_key(|task| sort_key(task["title"].as_str().unwrap()));
                assert_eq!(listed, expected);
            }
            _ => {
                // Tasks due on the same day are ordered by id, in an unspecified direction.
                let due = |task: &Value| task["due_date"].as_str().unwrap_or("never").to_owned();
                assert!(listed.is_sorted_by_key(|task| due(task)), "{list}");
                let whole = |tasks: &[&Value]| -> BTreeSet<String> {
                    tasks.iter().map(ToString::to_string).collect()
                };
                assert_eq!(listed.len(), expected.len());
                assert_eq!(whole(&listed), whole(&expected));
            }
        }
    }
}

/// Returns a sort key for titles that begin with one of `WORDS`. Other tests cover the order of any titles.
pub fn sort_key(title: &str) -> (usize, String) {
    let (word, number) = title.split_once(' ').unwrap();
    let alphabetical = ["Ähre", "apple", "Banana", "éclair", "zebra"];
    (
        alphabetical.iter().position(|other| *other == word).unwrap(),
        number.to_owned(),
    )
}

pub fn merge(task: &mut Value, body: &Value) {
    for (field, value) in body.as_object().unwrap() {
        task[field] = value.clone();
    }
}

/// Copies `updated_at` and `version`, which only the service knows, and checks that they have not decreased
/// and that everything else equals the model's task.
#[track_caller]
pub fn compare_and_update(task: &mut Value, answer: &Value) {
    assert_is_task(answer);
    assert!(answer["updated_at"].as_str() >= task["updated_at"].as_str());
    assert!(answer["version"].as_i64() >= task["version"].as_i64());
    for field in ["updated_at", "version"] {
        task[field] = answer[field].clone();
    }
    assert_eq!(answer, task);
}
