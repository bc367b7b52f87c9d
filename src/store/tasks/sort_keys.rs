//! Sort keys for titles that other programs wrote: they write the title and not its key.

use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};

use super::{OwnedTasks, owned};
use crate::db::{Access, Connection, StoreError, on_both};
use crate::domain::{Title, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

const PORTION: i64 = 2_000;

impl OwnedTasks {
    /// Adds the missing keys before the first list that needs them. It does so in batches, so that other calls
    /// run in between and a timeout does not undo the batches that are done.
    pub(super) async fn add_sort_keys(&self) -> Result<(), StoreError> {
        let add =
            async |connection: &mut Connection<'_>, owner: &UserId| add_portion(connection, owner).await;
        while self.owner.run(Access::Transaction, add).await? {}
        Ok(())
    }
}

/// Adds a batch of keys; true if there may be more. False if nothing changed, because a title of another SQLite
/// type than text never equals its stored copy.
async fn add_portion(connection: &mut Connection<'_>, owner: &UserId) -> QueryResult<bool> {
    let without = owned(owner)
        // The expression must be the index's own.
        .filter(sql::<Bool>("(CASE WHEN keyed_title <> title THEN 1 END) = 1"))
        .select((tasks::id, tasks::title))
        .limit(PORTION);
    let found: Vec<(i64, String)> = on_both!(connection, |c| without.load(c))?;
    if found.is_empty() {
        return Ok(false);
    }
    let changed = match connection.is_sqlite() {
        true => {
            let all = async |connection: &mut Connection<'_>| one_by_one(connection, owner, &found).await;
            connection.transaction(all).await?
        }
        // One statement for all of them: a round trip for each of 100,000 tasks would take too long.
        false => in_one_statement(connection, owner, found).await?,
    };
    Ok(changed > 0)
}

async fn one_by_one(
    connection: &mut Connection<'_>,
    owner: &UserId,
    found: &[(i64, String)],
) -> QueryResult<usize> {
    let mut changed = 0;
    for (id, title) in found {
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

/// PostgreSQL only. Written in SQL, because Diesel cannot express `UPDATE … FROM unnest(…)`.
async fn in_one_statement(
    connection: &mut Connection<'_>,
    owner: &UserId,
    found: Vec<(i64, String)>,
) -> QueryResult<usize> {
    let Connection::Postgres(connection) = connection else {
        return Ok(0);
    };
    let (ids, titles): (Vec<i64>, Vec<String>) = found.into_iter().unzip();
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
