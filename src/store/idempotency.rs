//! Creates tasks under an idempotency key, so that clients can safely repeat the request.
//!
//! The key is stored in the same transaction as the task, so that neither is stored without the other.

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

const KEY_LIFETIME_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The maximum number of expired keys that a create deletes. It is more than one, so that the number of expired
/// keys decreases, and small, so that the create remains fast.
const MAX_KEYS_DELETED_PER_CREATE: i64 = 200;

/// A client's key, and a digest of the payload that was sent with the key.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    pub fingerprint: Vec<u8>,
}

/// Renders the body of the response. The body is stored with the key, because the task may change before the
/// client repeats the request.
pub type Render = fn(&UserId, &Task) -> Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The response to the first request with this key.
    Answer { id: TaskId, body: Vec<u8> },
    /// The key was used before with another payload.
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
            // If parallel calls have the same key, one of them inserts it. The others wait until that call has
            // committed, and then read the stored response.
            loop {
                match create_with_key(connection, owner, &new, &key, render).await {
                    Ok(created) => return Ok(created),
                    Err(CreateError::Diesel(error)) => return Err(error),
                    Err(CreateError::KeyTaken) => {}
                }
                // If there is no response, the key was deleted in the meantime, because its user was deleted or
                // because it had expired. The call then tries again to insert the key.
                if let Some(created) = read_stored_response(connection, owner, &key).await? {
                    return Ok(created);
                }
            }
        };
        self.owner.run(Access::Transaction, create).await
    }
}

enum CreateError {
    KeyTaken,
    Diesel(diesel::result::Error),
}

impl From<diesel::result::Error> for CreateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Diesel(error)
    }
}

async fn create_with_key(
    connection: &mut Connection<'_>,
    owner: &UserId,
    new: &NewTask,
    key: &IdempotencyKey,
    render: Render,
) -> Result<Created, CreateError> {
    let create = async |connection: &mut Connection<'_>| {
        let now = Timestamp::now();
        let expired_before = DbTimestamp(Timestamp::from_micros(now.micros() - KEY_LIFETIME_MICROS));
        delete_some_expired(connection, owner, expired_before).await?;
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
        // The statement overwrites the key if it has expired: the deletion above may have left it.
        let stored = on_both!(connection, |c| {
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
            let upsert = methods::FilterDsl::filter(upsert, keys::created_at.lt(expired_before));
            Prepared::new(upsert).execute(c)
        })?;
        match stored {
            0 => Err(CreateError::KeyTaken),
            _ => Ok(Created::Answer { id: task.id, body }),
        }
    };
    connection.transaction(create).await
}

/// Deletes some of the owner's expired keys. Each create under a key does this, so that no scheduler is needed and
/// no statement concerns several users.
async fn delete_some_expired(
    connection: &mut Connection<'_>,
    owner: &UserId,
    expired_before: DbTimestamp,
) -> QueryResult<()> {
    let among_oldest = |condition: &str, end: &str| {
        sql::<Bool>(condition)
            .sql("(SELECT key, created_at FROM idempotency_keys WHERE user_id = ")
            .bind::<Text, _>(owner.as_str())
            .sql(" AND created_at < ")
            .bind::<SqlTimestamp, _>(expired_before)
            .sql(&format!(
                " ORDER BY created_at LIMIT {MAX_KEYS_DELETED_PER_CREATE}) AS oldest{end}"
            ))
    };
    let (has_key, is_as_old) = match connection.is_sqlite() {
        // The plus prevents SQLite from using the index on `created_at` for this condition. With that index, SQLite
        // would read all expired keys of the user.
        true => (
            among_oldest("key IN (SELECT key FROM ", ")"),
            among_oldest("+created_at <= (SELECT max(created_at) FROM ", ")"),
        ),
        // With an array, PostgreSQL looks up each key in the index of the primary key, in the order of the keys. This
        // order prevents deadlocks between parallel creates. With `IN (SELECT …)`, PostgreSQL may read all of the
        // user's rows. With outdated statistics, it may use the index on `created_at` instead; then the second condition
        // bounds what it reads.
        false => (
            among_oldest("key = ANY (ARRAY(SELECT key FROM ", "))"),
            among_oldest("created_at <= (SELECT max(created_at) FROM ", ")"),
        ),
    };
    let expired = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(has_key)
        .filter(is_as_old);
    on_both!(connection, |c| Prepared::new(diesel::delete(expired)).execute(c))?;
    Ok(())
}

async fn read_stored_response(
    connection: &mut Connection<'_>,
    owner: &UserId,
    key: &IdempotencyKey,
) -> QueryResult<Option<Created>> {
    let stored = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(keys::key.eq(&key.key))
        .select((keys::fingerprint, keys::task_id, keys::answer));
    let stored: Option<(Vec<u8>, i64, Vec<u8>)> = on_both!(connection, |c| stored.first(c)).optional()?;
    Ok(
        stored.map(|(fingerprint, id, body)| match fingerprint == key.fingerprint {
            true => Created::Answer { id: TaskId(id), body },
            false => Created::OtherPayload,
        }),
    )
}
