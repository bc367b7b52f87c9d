//! Sort keys for titles that other programs wrote: they write titles alone.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};

use super::{OwnedTasks, owned};
use crate::domain::{Title, UserId};
use crate::store::connection::{Connection, Inner, on_both};
use crate::store::error::StoreError;
use crate::store::queue::Access;
use crate::store::schema::tasks;

const PORTION: i64 = 2_000;

impl OwnedTasks {
    /// The first list that would have such tasks in the wrong places mends them, in portions: others get
    /// their turn in between, and what is done stays done, whatever the time runs out for.
    pub(super) async fn add_sort_keys(&self) -> Result<(), StoreError> {
        while self.owner.run(Access::RepeatableWrite, mend_portion).await? {}
        Ok(())
    }
}

/// Whether some were, and so there may be more. What another program wrote may never match itself (a title
/// of another type, in SQLite): where nothing changes, nothing will.
fn mend_portion(conn: &mut Connection, owner: &UserId) -> QueryResult<bool> {
    let without = owned(owner)
        // As the index has it.
        .filter(sql::<Bool>("(CASE WHEN keyed_title <> title THEN 1 END) = 1"))
        .select((tasks::id, tasks::title))
        .limit(PORTION);
    let found: Vec<(i64, String)> = on_both!(conn, |c| without.load(c))?;
    if found.is_empty() {
        return Ok(false);
    }
    let changed = match &mut conn.inner {
        Inner::Postgres(conn) => in_one_statement(conn, owner, found)?,
        Inner::Sqlite(conn) => conn.immediate_transaction(|conn| one_by_one(conn, owner, found))?,
    };
    Ok(changed > 0)
}

fn one_by_one(conn: &mut SqliteConnection, owner: &UserId, found: Vec<(i64, String)>) -> QueryResult<usize> {
    let mut changed = 0;
    for (id, title) in found {
        let task = owned(owner)
            .filter(tasks::id.eq(id))
            .filter(tasks::title.eq(&title));
        let key = tasks::title_key.eq(Title::sort_key_of(&title));
        changed += diesel::update(task)
            .set((key, tasks::keyed_title.eq(&title)))
            .execute(conn)?;
    }
    Ok(changed)
}

/// Diesel has no words for this, and a round trip for each of a hundred thousand would take too long.
fn in_one_statement(
    conn: &mut PgConnection,
    owner: &UserId,
    found: Vec<(i64, String)>,
) -> QueryResult<usize> {
    let (ids, titles): (Vec<i64>, Vec<String>) = found.into_iter().unzip();
    let keys: Vec<Vec<u8>> = titles.iter().map(|title| Title::sort_key_of(title)).collect();
    diesel::sql_query(
        "UPDATE tasks SET title_key = keyed.key, keyed_title = keyed.title \
         FROM unnest($2, $3, $4) AS keyed (id, title, key) \
         WHERE tasks.user_id = $1 AND tasks.id = keyed.id AND tasks.title = keyed.title",
    )
    .bind::<Text, _>(owner.as_str())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<Text>, _>(titles)
    .bind::<Array<Binary>, _>(keys)
    .execute(conn)
}
