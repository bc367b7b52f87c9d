//! Sort keys for titles that other programs wrote: they write titles alone.

use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};

use super::{OwnedTasks, owned};
use crate::db::{Access, Connection, StoreError, on_both};
use crate::domain::{Title, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

const PORTION: i64 = 2_000;

impl OwnedTasks {
    /// The first list that would have such tasks in the wrong places adds their keys, in portions: others get
    /// their turn in between, and what is done stays done, whatever the time runs out for.
    pub(super) async fn add_sort_keys(&self) -> Result<(), StoreError> {
        let add =
            async |connection: &mut Connection<'_>, owner: &UserId| add_portion(connection, owner).await;
        while self.owner.run(Access::Transaction, add).await? {}
        Ok(())
    }
}

/// Whether some were added, and so there may be more. What another program wrote may never equal itself (a
/// title of another type, in SQLite): where nothing changes, nothing will.
async fn add_portion(connection: &mut Connection<'_>, owner: &UserId) -> QueryResult<bool> {
    let without = owned(owner)
        // As the index has it.
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
        // A round trip for each of a hundred thousand would take too long.
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

/// PostgreSQL's alone, and in words of its own: Diesel has none for an `UPDATE … FROM unnest(…)`.
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
        .statement(diesel_async::RunQueryDsl::execute(update, &mut client))
        .await
}
