//! Creating a task once, however often the client has to ask.
//!
//! The key is kept in the same transaction as the task, so that one is there exactly if the other is.

use diesel::prelude::*;

use super::connection::{Connection, on_both};
use super::error::StoreError;
use super::moment::At;
use super::queue::Access;
use super::schema::idempotency_keys as keys;
use super::tasks::{OwnedTasks, insert};
use crate::domain::{NewTask, Task, TaskId, Timestamp, UserId};

const KEPT_FOR_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// A client's key, and what tells its payload from others.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    pub fingerprint: Vec<u8>,
}

/// How a task is answered. The answer is kept with the key, for the task may have changed by the time
/// that it is asked for again.
pub type Render = fn(&UserId, &Task) -> Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The first answer, whether it is given for the first time or again.
    Answer { id: TaskId, body: Vec<u8> },
    /// The key was used before, with another payload.
    OtherPayload,
}

impl OwnedTasks {
    pub async fn create_once(
        &self,
        new: NewTask,
        key: IdempotencyKey,
        render: Render,
    ) -> Result<Created, StoreError> {
        self.owner
            .run(Access::RepeatableWrite, move |conn, owner| {
                // Of several that come at once, one inserts; the others wait for its commit, and read.
                loop {
                    match first_time(conn, owner, &new, &key, render) {
                        Ok(created) => return Ok(created),
                        Err(Refused::Diesel(error)) => return Err(error),
                        Err(Refused::KeyTaken) => {}
                    }
                    // None: it went meanwhile, with its user or for its age, and is free again.
                    if let Some(created) = read_again(conn, owner, &key)? {
                        return Ok(created);
                    }
                }
            })
            .await
    }
}

enum Refused {
    KeyTaken,
    Diesel(diesel::result::Error),
}

impl From<diesel::result::Error> for Refused {
    fn from(error: diesel::result::Error) -> Self {
        Self::Diesel(error)
    }
}

fn first_time(
    conn: &mut Connection,
    owner: &UserId,
    new: &NewTask,
    key: &IdempotencyKey,
    render: Render,
) -> Result<Created, Refused> {
    conn.transaction(|conn| {
        let now = Timestamp::now();
        // Old keys go when their owner brings a new one: no scheduler, and nobody else's rows.
        let old = keys::table
            .filter(keys::user_id.eq(owner.as_str()))
            .filter(keys::created_at.lt(At(Timestamp::from_micros(now.micros() - KEPT_FOR_MICROS))));
        on_both!(conn, |c| diesel::delete(old).execute(c))?;

        let task = insert(conn, owner, new)?;
        let body = render(owner, &task);
        let row = (
            keys::user_id.eq(owner.as_str()),
            keys::key.eq(&key.key),
            keys::fingerprint.eq(&key.fingerprint),
            keys::task_id.eq(task.id.0),
            keys::answer.eq(&body),
            keys::created_at.eq(At(now)),
        );
        let kept = on_both!(conn, |c| {
            diesel::insert_into(keys::table)
                .values(row)
                .on_conflict((keys::user_id, keys::key))
                .do_nothing()
                .execute(c)
        })?;
        match kept {
            0 => Err(Refused::KeyTaken),
            _ => Ok(Created::Answer { id: task.id, body }),
        }
    })
}

fn read_again(conn: &mut Connection, owner: &UserId, key: &IdempotencyKey) -> QueryResult<Option<Created>> {
    let kept = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(keys::key.eq(&key.key))
        .select((keys::fingerprint, keys::task_id, keys::answer));
    let kept: Option<(Vec<u8>, i64, Vec<u8>)> = on_both!(conn, |c| kept.first(c)).optional()?;
    Ok(
        kept.map(|(fingerprint, id, body)| match fingerprint == key.fingerprint {
            true => Created::Answer { id: TaskId(id), body },
            false => Created::OtherPayload,
        }),
    )
}
