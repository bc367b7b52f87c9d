//! Lists: every filter and sort, whole or by the page.

use std::sync::Arc;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{OwnedTasks, Row, columns, owned};
use crate::domain::{Listing, Position, Sort, Task, UserId};
use crate::store::connection::{Connection, on_both};
use crate::store::error::StoreError;
use crate::store::moment::{Moment, Stored};
use crate::store::prepared::Prepared;
use crate::store::queue::Access;
use crate::store::schema::tasks;

/// Takes the tasks of a list one after the other, on the database's thread: a list of `Task`s is never held
/// beside what is made of it. (PostgreSQL's client library does hold the rows, until they are read.)
pub trait TaskSink: Default + Send + 'static {
    fn take(&mut self, owner: &UserId, task: &Task);
}

pub struct Listed<S> {
    pub sink: S,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
    /// Tasks whose sort keys are not made of their titles may be in the wrong places.
    some_key_wrong: bool,
}

impl OwnedTasks {
    pub async fn list<S: TaskSink>(&self, listing: Listing) -> Result<Listed<S>, StoreError> {
        let listing = Arc::new(listing);
        let read = || {
            let listing = Arc::clone(&listing);
            self.owner
                .run(Access::Read, move |conn, owner| read(conn, owner, &listing))
        };
        let listed = read().await?;
        if !listed.some_key_wrong {
            return Ok(listed);
        }
        self.add_sort_keys().await?;
        read().await
    }
}

/// A task; what it is sorted by, where a page may end with it; and whether the owner has tasks whose sort
/// keys are not made of their titles.
type ListRow = (Row, Option<Vec<u8>>, bool);

/// The owner's tasks of one status. A macro, and no function, because the type of a boxed query names
/// the database.
macro_rules! filtered {
    ($owner:expr, $listing:expr) => {{
        type Selected<'a, T> = Box<dyn BoxableExpression<tasks::table, Db, SqlType = T> + 'a>;
        let keys_missing: Selected<'_, Bool> = match $listing.sort {
            Sort::Title => Box::new(
                sql::<Bool>(
                    "EXISTS (SELECT 1 FROM tasks AS other \
                     WHERE (CASE WHEN other.keyed_title <> other.title THEN 1 END) = 1 \
                     AND other.user_id = ",
                )
                .bind::<Text, _>($owner.as_str())
                .sql(")"),
            ),
            Sort::Created | Sort::DueDate => Box::new(sql::<Bool>("FALSE")),
        };
        // The bytes of the value, whatever its type.
        let key = sql::<Nullable<Binary>>(match ($listing.sort, &$listing.page) {
            (_, None) => "NULL",
            (Sort::Created, _) => "created_at",
            (Sort::Title, _) => "title_key",
            (Sort::DueDate, _) => "due_date",
        });
        let query = owned($owner)
            .select((columns(), key, keys_missing))
            .into_boxed::<Db>();
        match $listing.status.completed() {
            Some(completed) => query.filter(tasks::completed.eq(completed)),
            None => query,
        }
    }};
}

/// In order, from a position on, and one more than the page holds. Each order is that of an index, and a
/// position is compared as a row, so that the database begins to read where the page begins. `infinity`
/// is a moment to PostgreSQL, and to SQLite a text that stands behind all digits.
macro_rules! sorted {
    ($query:expr, $listing:expr) => {{
        let query = match $listing.sort {
            Sort::Created => $query.order((tasks::created_at.desc(), tasks::id.desc())),
            Sort::Title => $query.order((tasks::title_key.asc(), tasks::id.asc())),
            Sort::DueDate => $query.order((
                sql::<Moment>("coalesce(due_date, 'infinity')").asc(),
                tasks::id.asc(),
            )),
        };
        let query = match &$listing.page {
            Some(page) => query.limit(i64::from(page.limit) + 1),
            None => query,
        };
        match (
            $listing.sort,
            $listing.page.as_ref().and_then(|page| page.after.as_ref()),
        ) {
            (_, None) => query,
            (Sort::Created, Some(Position { key, id })) => query.filter(
                sql::<Bool>("(created_at, id) < (")
                    .bind::<Nullable<Moment>, _>(key.as_deref().map(Stored))
                    .sql(", ")
                    .bind::<BigInt, _>(id.0)
                    .sql(")"),
            ),
            (Sort::Title, Some(Position { key, id })) => query.filter(
                sql::<Bool>("(title_key, id) > (")
                    .bind::<Binary, _>(key.as_deref().unwrap_or_default())
                    .sql(", ")
                    .bind::<BigInt, _>(id.0)
                    .sql(")"),
            ),
            // The first condition follows from the second; SQLite needs it to find the index.
            (Sort::DueDate, Some(Position { key, id })) => query.filter(
                sql::<Bool>("coalesce(due_date, 'infinity') >= coalesce(")
                    .bind::<Nullable<Moment>, _>(key.as_deref().map(Stored))
                    .sql(", 'infinity') AND (coalesce(due_date, 'infinity'), id) > (coalesce(")
                    .bind::<Nullable<Moment>, _>(key.as_deref().map(Stored))
                    .sql(", 'infinity'), ")
                    .bind::<BigInt, _>(id.0)
                    .sql(")"),
            ),
        }
    }};
}

fn read<S: TaskSink>(conn: &mut Connection, owner: &UserId, listing: &Listing) -> QueryResult<Listed<S>> {
    on_both!(conn, |c| {
        let query = sorted!(filtered!(owner, listing), listing);
        let rows = Prepared(query).load_iter::<ListRow, DefaultLoadingMode>(c)?;
        collect(owner, listing, rows)
    })
}

fn collect<S: TaskSink>(
    owner: &UserId,
    listing: &Listing,
    rows: impl Iterator<Item = QueryResult<ListRow>>,
) -> QueryResult<Listed<S>> {
    let limit = listing.page.as_ref().map(|page| usize::from(page.limit));
    let mut sink = S::default();
    let mut last = None;
    let mut next = None;
    let mut some_key_wrong = false;
    let mut taken = 0;
    for row in rows {
        let (row, key, key_wrong) = row?;
        some_key_wrong |= key_wrong;
        if limit == Some(taken) {
            // One more than was asked for: it only shows that there is a next page.
            next = last.take();
            continue;
        }
        let task = Task::from(row);
        sink.take(owner, &task);
        last = limit.map(|_| Position { key, id: task.id });
        taken += 1;
    }
    Ok(Listed {
        sink,
        next,
        some_key_wrong,
    })
}
