//! Creates tasks under an idempotency key, so that clients can safely repeat the request.
//!
//! The key is stored in the same transaction as the task, so that neither is stored without the other.

use diesel::query_dsl::methods;
use diesel::result::Error as DieselError;
use diesel::upsert::excluded;

use super::prelude::*;
use super::schema::idempotency_keys as keys;
use super::tasks::{OwnedTasks, insert};
use crate::db::timestamp::DbTimestamp;
use crate::db::{Access, Connection, Prepared, StoreError, on_both, prepared};
use crate::domain::{NewTask, Task, TaskId, Timestamp, UserId};

const KEY_LIFETIME_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The maximum number of expired keys that a create deletes. It is more than one, so that the number of expired
/// keys decreases, and small, so that the create remains fast.
const MAX_KEYS_DELETED_PER_CREATE: i64 = 200;

/// A client's key, and a digest of the task that was sent with the key.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    pub fingerprint: Vec<u8>,
}

/// Renders the body of the response. The body is stored with the key, because the task may change before the
/// client repeats the request.
pub type Render = fn(&UserId, &Task) -> Vec<u8>;

/// The id and the body of the response to the first request with a key. `None` if the key was used before with another
/// payload.
pub type Created = Option<(TaskId, Vec<u8>)>;

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
                    // Another call has stored a response under this key.
                    Err(DieselError::RollbackTransaction) => {}
                    outcome => return outcome,
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

/// Inserts the task and the key. If the key is taken, neither is inserted, and the error is `RollbackTransaction`.
async fn create_with_key(
    connection: &mut Connection<'_>,
    owner: &UserId,
    new: &NewTask,
    key: &IdempotencyKey,
    render: Render,
) -> QueryResult<Created> {
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
            0 => Err(DieselError::RollbackTransaction),
            _ => Ok(Some((task.id, body))),
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
    let oldest = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(keys::created_at.lt(expired_before))
        .order(keys::created_at)
        .limit(MAX_KEYS_DELETED_PER_CREATE)
        .select((keys::key, keys::created_at));
    let oldest: Vec<(String, DbTimestamp)> = on_both!(connection, |c| prepared!(oldest).load(c))?;
    let Some(&(_, newest)) = oldest.last() else {
        return Ok(());
    };
    let expired = keys::table
        .filter(keys::user_id.eq(owner.as_str()))
        .filter(keys::key.eq_any(oldest.iter().map(|(key, _)| key)));
    if connection.is_sqlite() {
        // No other transaction writes in the meantime.
        on_both!(connection, |c| diesel::delete(expired).execute(c))?;
    } else {
        // The filter by time keeps a key that a parallel create has used again. It also limits what PostgreSQL reads
        // if outdated statistics make it use the index on `created_at` instead of the primary key.
        let expired = expired.filter(keys::created_at.le(newest));
        on_both!(connection, |c| diesel::delete(expired).execute(c))?;
    }
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
    Ok(stored.map(|(fingerprint, id, body)| (fingerprint == key.fingerprint).then_some((TaskId(id), body))))
}
