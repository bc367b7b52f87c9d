//! Generates the random calls of the property test.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{CONTRACTS, random};

/// A call by one user on one contract. A task is identified by its index among all tasks that any user
/// creates in this case, so it may belong to another user, be deleted or not exist yet.
#[derive(Clone, Debug)]
pub struct Step {
    pub user: usize,
    pub contract: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    Create {
        word: usize,
        due: Option<u32>,
        completed: bool,
    },
    Read(usize),
    Update {
        task: usize,
        fields: Fields,
    },
    Toggle(usize),
    Set(usize, bool),
    Delete(usize),
    List {
        status: usize,
        sort: usize,
    },
}

#[derive(Clone, Debug)]
pub struct Fields {
    pub word: Option<usize>,
    pub description: Option<Option<u8>>,
    pub completed: Option<bool>,
    pub due: Option<Option<u32>>,
}

pub const WORDS: [&str; 5] = ["apple", "Banana", "éclair", "zebra", "Ähre"];
pub const STATUSES: [&str; 3] = ["all", "pending", "completed"];
pub const SORTS: [&str; 3] = ["created", "title", "due_date"];

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let task = 0..12_usize;
    let fields = (
        prop::option::of(0..WORDS.len()),
        prop::option::of(prop::option::of(any::<u8>())),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::option::of(0..10_u32)),
    );
    let fields = fields.prop_map(|(word, description, completed, due)| Fields {
        word,
        description,
        completed,
        due,
    });
    let action = prop_oneof![
        4 => (0..WORDS.len(), prop::option::of(0..10_u32), any::<bool>())
            .prop_map(|(word, due, completed)| Action::Create { word, due, completed }),
        2 => task.clone().prop_map(Action::Read),
        3 => (task.clone(), fields).prop_map(|(task, fields)| Action::Update { task, fields }),
        2 => task.clone().prop_map(Action::Toggle),
        1 => (task.clone(), any::<bool>()).prop_map(|(task, set)| Action::Set(task, set)),
        2 => task.prop_map(Action::Delete),
        3 => (0..STATUSES.len(), 0..SORTS.len())
            .prop_map(|(status, sort)| Action::List { status, sort }),
    ];
    let step = (0..3_usize, 0..CONTRACTS.len(), action).prop_map(|(user, contract, action)| Step {
        user,
        contract,
        action,
    });
    prop::collection::vec(step, 1..40)
}

impl Fields {
    pub fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(word) = self.word {
            body["title"] = json!(format!("{} {:016x}", WORDS[word], random::number()));
        }
        if let Some(description) = self.description {
            body["description"] = json!(description.map(|number| format!("description {number}")));
        }
        if let Some(completed) = self.completed {
            body["completed"] = json!(completed);
        }
        if let Some(due) = self.due {
            body["due_date"] = json!(due.map(due_date));
        }
        body
    }
}

pub fn due_date(day: u32) -> String {
    format!("2026-03-{:02}T00:00:00.000000Z", day + 1)
}
