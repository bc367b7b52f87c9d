//! How tasks are written: JSON, straight from what the database gave.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use super::error::ApiError;
use super::pieces::{Growing, HELD, Pieces};
use crate::domain::{Task, Timestamp, UserId};
use crate::store::TaskSink;

/// By hand and not derived: serde's way through a struct, field by field, takes more than twice the
/// instructions, and much of what a list costs is this.
fn write(out: &mut Vec<u8>, owner: &UserId, task: &Task) {
    // The version is in the tag.
    let Task {
        id,
        title,
        description,
        completed,
        due_date,
        created_at,
        updated_at,
        version: _,
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
        Some(due) => moment(out, *due),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"created_at\":");
    moment(out, *created_at);
    out.extend_from_slice(b",\"updated_at\":");
    moment(out, *updated_at);
    out.push(b'}');
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Cannot fail: memory is no error that Rust returns.
    let _ = serde_json::to_writer(out, value);
}

fn moment(out: &mut Vec<u8>, moment: Timestamp) {
    out.push(b'"');
    out.extend_from_slice(&moment.text());
    out.push(b'"');
}

pub fn json_of(owner: &UserId, task: &Task) -> Vec<u8> {
    let mut out = Vec::with_capacity(320 + task.title.len());
    write(&mut out, owner, task);
    out
}

/// A list while it grows. In pieces, so that a long one is neither copied while it grows nor kept whole
/// until the client has read its end.
pub struct JsonList {
    full: Growing,
    last: Vec<u8>,
    /// What the list's tag is made of, as far as it was not digested yet.
    versions: Vec<u8>,
    digest: digest::Context,
}

const PIECE: usize = 256 * 1024;

impl Default for JsonList {
    fn default() -> Self {
        // Enough for a page of the common size: most lists are not copied while they grow.
        let mut first = Vec::with_capacity(8 * 1024);
        first.push(b'[');
        Self {
            full: Growing::within(&HELD),
            last: first,
            versions: Vec::with_capacity(1024),
            digest: digest::Context::new(&digest::SHA256),
        }
    }
}

impl TaskSink for JsonList {
    fn take(&mut self, owner: &UserId, task: &Task) {
        if self.last.len() > 1 || !self.full.is_empty() {
            self.last.push(b',');
        }
        write(&mut self.last, owner, task);
        self.versions.extend_from_slice(&task.id.0.to_le_bytes());
        self.versions.extend_from_slice(&task.version.to_le_bytes());
        if self.last.len() >= PIECE {
            self.full.push(owner, &self.last);
            self.last.clear();
            self.digest.update(&self.versions);
            self.versions.clear();
        }
    }
}

pub struct FinishedList {
    /// Of the tasks' ids and versions in their order: two lists with the same are the same.
    pub tag: String,
    pub body: Pieces,
}

impl JsonList {
    pub fn finish(mut self) -> Result<FinishedList, ApiError> {
        self.last.push(b']');
        self.digest.update(&self.versions);
        let digest = self.digest.finish();
        Ok(FinishedList {
            tag: format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])),
            body: self.full.finish(self.last)?,
        })
    }
}
