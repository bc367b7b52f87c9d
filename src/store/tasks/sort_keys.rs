//! Updates the sort keys of titles that other programs have written. Such a program writes the title but not its sort
//! key.

use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};

use super::{OwnedTasks, owned};
use crate::db::{Access, Connection, StoreError, on_both};
use crate::domain::{Title, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The maximum number of keys that one call updates.
const BATCH_ROWS: i64 = 2_000;

impl OwnedTasks {
    /// Updates the stale keys of the user's tasks. It does so in batches, so that other calls can run in between,
    /// and so that a timeout affects only the current batch.
    pub(super) async fn update_sort_keys(&self) -> Result<(), StoreError> {
        let update =
            async |connection: &mut Connection<'_>, owner: &UserId| update_batch(connection, owner).await;
        while self.owner.run(Access::Transaction, update).await? {}
        Ok(())
    }
}

/// Updates a batch of stale keys. Returns whether there may be more of them. A batch that changes nothing is the
/// last: in SQLite, a title may have another type than text, and then its key always counts as stale.
async fn update_batch(connection: &mut Connection<'_>, owner: &UserId) -> QueryResult<bool> {
    let query = owned(owner)
        // The expression must be the one in the index's definition, or the index is not used.
        .filter(sql::<Bool>("(CASE WHEN keyed_title <> title THEN 1 END) = 1"))
        .select((tasks::id, tasks::title))
        .limit(BATCH_ROWS);
    let stale: Vec<(i64, String)> = on_both!(connection, |c| query.load(c))?;
    if stale.is_empty() {
        return Ok(false);
    }
    let changed = match connection.is_sqlite() {
        true => {
            let all = async |connection: &mut Connection<'_>| {
                update_keys_one_by_one(connection, owner, &stale).await
            };
            connection.transaction(all).await?
        }
        // A single statement updates the batch, because one round trip per task would take too long.
        false => update_keys_in_one_statement(connection, owner, stale).await?,
    };
    Ok(changed > 0)
}

async fn update_keys_one_by_one(
    connection: &mut Connection<'_>,
    owner: &UserId,
    stale: &[(i64, String)],
) -> QueryResult<usize> {
    let mut changed = 0;
    for (id, title) in stale {
        let task = owned(owner)
            .filter(tasks::id.eq(id))
            .filter(tasks::title.eq(title));
        let key = (
            tasks::title_key.eq(Title::sort_key_of(title)),
            tasks::keyed_title.eq(title),
        );
        changed += on_both!(connection, |c| diesel::update(task).set(key).execute(c))?;
    }
    Ok(changed)
}

/// Updates the keys in PostgreSQL. The statement is written in SQL, because Diesel cannot express
/// `UPDATE … FROM unnest(…)`.
async fn update_keys_in_one_statement(
    connection: &mut Connection<'_>,
    owner: &UserId,
    stale: Vec<(i64, String)>,
) -> QueryResult<usize> {
    let Connection::Postgres(connection) = connection else {
        return Ok(0);
    };
    let (ids, titles): (Vec<i64>, Vec<String>) = stale.into_iter().unzip();
    let keys: Vec<Vec<u8>> = titles.iter().map(|title| Title::sort_key_of(title)).collect();
    let update = diesel::sql_query(
        "UPDATE tasks SET title_key = keyed.key, keyed_title = keyed.title \
         FROM unnest($2, $3, $4) AS keyed (id, title, key) \
         WHERE tasks.user_id = $1 AND tasks.id = keyed.id AND tasks.title = keyed.title",
    )
    .bind::<Text, _>(owner.as_str())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<Text>, _>(titles)
    .bind::<Array<Binary>, _>(keys);
    let mut client = &connection.client;
    connection
        .run_statement(diesel_async::RunQueryDsl::execute(update, &mut client))
        .await
}
