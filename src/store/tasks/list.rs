//! Lists of tasks for each filter and sort order. A list is either a page or complete.

use std::sync::{Arc, OnceLock};

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{OwnedTasks, Row, columns, owned};
use crate::db::timestamp::{EncodedTimestamp, SqlTimestamp};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{ListQuery, Page, Position, Sort, Task, TaskId, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The maximum length of a complete list that is read on a shared connection. A longer list is read on a connection
/// of its own, because it would delay the calls of other users.
const MAX_SHORT_LIST_ROWS: u16 = 500;

impl OwnedTasks {
    /// Returns a page or the complete list. Returns `None` if a complete list is requested and longer than
    /// `MAX_SHORT_LIST_ROWS`, so that [`OwnedTasks::read_long_list`] must read it.
    pub async fn list(&self, listing: ListQuery) -> Result<Option<ListPage>, StoreError> {
        let is_complete_list = listing.page.is_none();
        let listing = Arc::new(listing);
        let read = || {
            let listing = Arc::clone(&listing);
            self.owner.run(Access::Read, async move |connection, owner| {
                const START: Page = Page {
                    limit: MAX_SHORT_LIST_ROWS,
                    after: None,
                };
                let page = listing.page.as_ref().unwrap_or(&START);
                read_page(connection, owner, &listing, page).await
            })
        };
        let mut page = read().await?;
        if page.has_stale_keys {
            self.update_sort_keys().await?;
            page = read().await?;
        }
        let is_long = is_complete_list && page.next.is_some();
        Ok((!is_long).then_some(page))
    }
}

/// A task, its sort key, and whether any of the owner's tasks has a stale title key.
type ListRow = (Row, Option<Vec<u8>>, bool);

pub struct ListPage {
    pub tasks: Vec<Task>,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
    /// Whether the list is sorted by title and a title key is stale, so that the order may be wrong.
    has_stale_keys: bool,
}

/// Selects the owner's tasks with one status. This is a macro because the query's type depends on the database.
macro_rules! filter_tasks {
    ($owner:expr, $listing:expr, $selection:expr) => {{
        let query = owned($owner).select($selection).into_boxed::<Db>();
        match $listing.status.completed() {
            Some(completed) => query.filter(tasks::completed.eq(completed)),
            None => query,
        }
    }};
}
pub(super) use filter_tasks;

/// Adds the order, the start position and the limit to a query. The limit is one row more than the page, to find out
/// whether there is a next page. Each order has an index. The position is compared as a row value, so that PostgreSQL
/// starts reading the index at the position. SQLite uses only the first column of the row value for that. `infinity`
/// makes tasks without a due date sort last: it is a timestamp in PostgreSQL, and in SQLite a text that sorts after
/// all digits.
macro_rules! order_and_paginate {
    ($query:expr, $sort:expr, $page:expr) => {{
        let query = match $sort {
            Sort::Created => $query.order((tasks::created_at.desc(), tasks::id.desc())),
            Sort::Title => $query.order((tasks::title_key.asc(), tasks::id.asc())),
            Sort::DueDate => $query.order((
                sql::<SqlTimestamp>("coalesce(due_date, 'infinity')").asc(),
                tasks::id.asc(),
            )),
        };
        let query = query.limit(i64::from($page.limit) + 1);
        match ($sort, &$page.after) {
            (_, None) => query,
            (Sort::Created, Some(Position { key, id })) => query.filter(
                sql::<Bool>("(created_at, id) < (")
                    .bind::<Nullable<SqlTimestamp>, _>(key.as_deref().map(EncodedTimestamp))
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
            // The first condition follows from the second, but SQLite does not use the index for the second condition.
            (Sort::DueDate, Some(Position { key, id })) => query.filter(
                sql::<Bool>("coalesce(due_date, 'infinity') >= coalesce(")
                    .bind::<Nullable<SqlTimestamp>, _>(key.as_deref().map(EncodedTimestamp))
                    .sql(", 'infinity') AND (coalesce(due_date, 'infinity'), id) > (coalesce(")
                    .bind::<Nullable<SqlTimestamp>, _>(key.as_deref().map(EncodedTimestamp))
                    .sql(", 'infinity'), ")
                    .bind::<BigInt, _>(id.0)
                    .sql(")"),
            ),
        }
    }};
}

/// Returns the column by which the list is sorted. Its values are read as bytes, whatever its type is.
fn sort_key(sort: Sort) -> &'static str {
    match sort {
        Sort::Created => "created_at",
        Sort::Title => "title_key",
        Sort::DueDate => "due_date",
    }
}

pub(super) async fn read_page(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
    page: &Page,
) -> QueryResult<ListPage> {
    let mut rows: Vec<ListRow> = on_both!(connection, |c| {
        // Only lists by title need this column. The other lists select a constant that is false, so that all
        // queries have the same type.
        let has_stale_keys = sql::<Bool>(match listing.sort {
            Sort::Title => {
                "EXISTS (SELECT 1 FROM tasks AS other \
                 WHERE (CASE WHEN other.keyed_title <> other.title THEN 1 END) = 1 \
                 AND other.user_id = "
            }
            Sort::Created | Sort::DueDate => "(FALSE AND '' = ",
        })
        .bind::<Text, _>(owner.as_str())
        .sql(")");
        let key = sql::<Nullable<Binary>>(sort_key(listing.sort));
        let query = order_and_paginate!(
            filter_tasks!(owner, listing, (columns(), key, has_stale_keys)),
            listing.sort,
            page
        );
        // The SQL text depends on the sort order, and on whether there is a status and a position.
        static TEXTS: [[[OnceLock<String>; 2]; 2]; 3] =
            [const { [const { [const { OnceLock::new() }; 2] }; 2] }; 3];
        let text = &TEXTS[listing.sort as usize][usize::from(listing.status.completed().is_some())];
        Prepared::with_text(query, &text[usize::from(page.after.is_some())]).load(c)
    })?;
    let has_stale_keys = rows.iter().any(|(_, _, has_stale_keys)| *has_stale_keys);
    let limit = usize::from(page.limit);
    // The row beyond the limit only shows that there is a next page, which begins after the last remaining row.
    let has_next_page = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| has_next_page)
        .map(|(row, key, _)| Position {
            key: key.clone(),
            id: TaskId(row.id),
        });
    Ok(ListPage {
        tasks: rows.into_iter().map(|(row, _, _)| row.into()).collect(),
        next,
        has_stale_keys,
    })
}
