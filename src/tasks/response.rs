//! The JSON of tasks and of lists, and the ETags of lists.

use actix_web::body::MessageBody;
use serde::Serialize;

use crate::domain::{Task, Timestamp, UserId};
use crate::http::error::ApiError;
use crate::http::etag::digest_tag;
use crate::http::response_body::body_for_user;

/// Writes the JSON of a task. The code that `derive(Serialize)` generates would take more than twice the instructions,
/// and this function is a large part of the cost of a list.
fn write_task_json(out: &mut Vec<u8>, owner: &UserId, task: &Task) {
    let Task {
        id,
        title,
        description,
        completed,
        due_date,
        created_at,
        updated_at,
        version,
    } = task;
    out.extend_from_slice(b"{\"id\":");
    json(out, &id.0);
    out.extend_from_slice(b",\"user_id\":");
    json(out, owner.as_str());
    out.extend_from_slice(b",\"title\":");
    json(out, title);
    out.extend_from_slice(b",\"description\":");
    json(out, description);
    out.extend_from_slice(match completed {
        true => b",\"completed\":true,\"due_date\":",
        false => b",\"completed\":false,\"due_date\":",
    });
    match due_date {
        Some(due) => timestamp(out, *due),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"created_at\":");
    timestamp(out, *created_at);
    out.extend_from_slice(b",\"updated_at\":");
    timestamp(out, *updated_at);
    out.extend_from_slice(b",\"version\":");
    json(out, version);
    out.push(b'}');
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Writing into a vector cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn timestamp(out: &mut Vec<u8>, timestamp: Timestamp) {
    out.push(b'"');
    out.extend_from_slice(&timestamp.to_rfc3339());
    out.push(b'"');
}

pub fn json_of(owner: &UserId, task: &Task) -> Vec<u8> {
    let mut out = Vec::with_capacity(320 + task.title.len());
    write_task_json(&mut out, owner, task);
    out
}

pub fn json_list(owner: &UserId, tasks: &[Task]) -> Result<impl MessageBody + use<>, ApiError> {
    let mut out = Vec::with_capacity(2 + tasks.len() * 384);
    out.push(b'[');
    write_elements(&mut out, owner, tasks, true);
    out.push(b']');
    body_for_user(owner, out)
}

/// Writes tasks as elements of a JSON array, each after a comma. `is_first` says that no element has been written yet,
/// so that the first one gets no comma.
pub fn write_elements(out: &mut Vec<u8>, owner: &UserId, tasks: &[Task], mut is_first: bool) {
    for task in tasks {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        write_task_json(out, owner, task);
    }
}

/// The version of the JSON format, which is a part of each list's tag. It must be changed whenever the JSON of a task
/// changes, because clients would otherwise keep using cached responses in the old format.
const TASK_JSON_VERSION: &[u8] = b"task format 2: with version";

/// The ETag of a list that is not streamed. The tag includes whether there is a next page, because a client would
/// otherwise get a 304 although the `Link` header has appeared or disappeared.
pub fn list_tag(tasks: &[Task], has_next_page: bool) -> String {
    let mut state = Vec::with_capacity(tasks.len() * 16 + 1);
    for task in tasks {
        state.extend_from_slice(&task.id.0.to_le_bytes());
        state.extend_from_slice(&task.version.to_le_bytes());
    }
    state.push(u8::from(has_next_page));
    tag_of(&state)
}

/// The ETag of a list: a digest of the version of the JSON format and of `state`, which must change with the list.
pub fn tag_of(state: &[u8]) -> String {
    digest_tag(&[TASK_JSON_VERSION, state])
}
