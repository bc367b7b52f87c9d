//! Creates that clients may repeat safely.
//!
//! The key is stored in the same transaction as the task, so that neither exists without the other.

use diesel::dsl::sql;
use diesel::query_dsl::methods;
use diesel::sql_types::{Bool, Text};
use diesel::upsert::excluded;

use super::prelude::*;
use super::schema::idempotency_keys as keys;
use super::tasks::{OwnedTasks, insert};
use crate::db::timestamp::{DbTimestamp, SqlTimestamp};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{NewTask, Task, TaskId, Timestamp, UserId};

const KEPT_FOR_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How many old keys each create deletes. It is more than one, so that their number shrinks, and few enough
/// that the create stays fast.
const DELETED_PER_CREATE: i64 = 200;

/// A client's key, and a digest of the payload that it was sent with.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    pub fingerprint: Vec<u8>,
}

/// Writes the response's body. The body is stored with the key, because the task may change before the client
/// repeats the request.
pub type Render = fn(&UserId, &Task) -> Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The first response, sent for the first time or again.
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
        let create = async move |connection: &mut Connection<'_>, owner: &UserId| {
            // Of parallel calls with one key, one inserts it. The others wait for its commit and then read it.
            loop {
                match first_time(connection, owner, &new, &key, render).await {
                    Ok(created) => return Ok(created),
                    Err(Refused::Diesel(error)) => return Err(error),
                    Err(Refused::KeyTaken) => {}
                }
                // `None` means that the key was deleted in between, with its user or because of its age. Then
                // it is free again.
                if let Some(created) = read_again(connection, owner, &key).await? {
                    return Ok(created);
                }
            }
        };
        self.owner.run(Access::Transaction, create).await
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

async fn first_time(
    connection: &mut Connection<'_>,
    owner: &UserId,
    new: &NewTask,
    key: &IdempotencyKey,
    render: Render,
) -> Result<Created, Refused> {
    let create = async |connection: &mut Connection<'_>| {
        let now = Timestamp::now();
        let kept_since = DbTimestamp(Timestamp::from_micros(now.micros() - KEPT_FOR_MICROS));
        delete_oldest(connection, owner, kept_since).await?;
        let task = insert(connection, owner, new).await?;
        let body = render(owner, &task);
        let row = (
            keys::user_id.eq(owner.as_str()),
            keys::key.eq(&key.key),
            keys::fingerprint.eq(&key.fingerprint),
            keys::task_id.eq(task.id.0),
            keys::answer.eq(&body),
            keys::created_at.eq(DbTimestamp(now)),
        );
        // Overwrites an expired key, which the deletion above may have left.
        let kept = on_both!(connection, |c| {
            let upsert = diesel::insert_into(keys::table)
                .values(row)
                .on_conflict((keys::user_id, keys::key))
                .do_update()
                .set((
                    keys::fingerprint.eq(excluded(keys::fingerprint)),
                    keys::task_id.eq(excluded(keys::task_id)),
                    keys::answer.eq(excluded(keys::answer)),
                    keys::created_at.eq(excluded(keys::created_at)),
                ));
            let upsert = methods::FilterDsl::filter(upsert, keys::created_at.lt(kept_since));
            Prepared::new(upsert).execute(c)
        })?;
        match kept {
            0 => Err(Refused::KeyTaken),
            _ => Ok(Created::Answer { id: task.id, body }),
        }
    };
    connection.transaction(create).await
}

/// Old keys are deleted when their owner sends a new one. That needs no scheduler and touches no other user's
/// rows.
async fn delete_oldest(
    connection: &mut Connection<'_>,
    owner: &UserId,
    kept_since: DbTimestamp,
) -> QueryResult<()> {
    // With an array, PostgreSQL looks each key up in the primary key's index, in the order of the keys, so that
    // parallel creates do not deadlock. With a semi-join or `OR` it may read all rows of the user instead.
    let (any, end) = match connection.is_sqlite() {
        true => ("IN (", ")"),
        false => ("= ANY (ARRAY(", "))"),
    };
    let select = format!("key {any}SELECT key FROM idempotency_keys WHERE user_id = ");
    let among_oldest = sql::<Bool>(&select)
        .bind::<Text, _>(owner.as_str())
        .sql(" AND created_at < ")
        .bind::<SqlTimestamp, _>(kept_since)
        .sql(&format!(" ORDER BY created_at LIMIT {DELETED_PER_CREATE}{end}"));
    // Without the plus, SQLite searches by age instead of by the keys found, and reads all old keys of the user.
    let is_old = match connection.is_sqlite() {
        true => "+created_at < ",
        false => "created_at < ",
    };
    let old = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(sql::<Bool>(is_old).bind::<SqlTimestamp, _>(kept_since))
        .filter(among_oldest);
    on_both!(connection, |c| Prepared::new(diesel::delete(old)).execute(c))?;
    Ok(())
}

async fn read_again(
    connection: &mut Connection<'_>,
    owner: &UserId,
    key: &IdempotencyKey,
) -> QueryResult<Option<Created>> {
    let kept = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(keys::key.eq(&key.key))
        .select((keys::fingerprint, keys::task_id, keys::answer));
    let kept: Option<(Vec<u8>, i64, Vec<u8>)> = on_both!(connection, |c| kept.first(c)).optional()?;
    Ok(
        kept.map(|(fingerprint, id, body)| match fingerprint == key.fingerprint {
            true => Created::Answer { id: TaskId(id), body },
            false => Created::OtherPayload,
        }),
    )
}
