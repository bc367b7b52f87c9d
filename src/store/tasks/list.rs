//! Lists of tasks for each filter and sort order. A list is either a page or complete.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use diesel::dsl::sql;
use diesel::result::Error::QueryBuilderError;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use tokio::sync::mpsc;

use super::{OwnedTasks, Row, columns, owned};
use crate::db::timestamp::{EncodedTimestamp, SqlTimestamp};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{ListQuery, Page, Position, Sort, Task, TaskId, UserId};
use crate::quota::QuotaPermit;
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The maximum length of a complete list that is read on a shared connection. A longer list is read on a connection
/// of its own, because it would delay the calls of other users.
const MAX_SHORT_LIST_ROWS: u16 = 500;

/// The maximum number of tasks of a long list that one statement reads.
const LONG_LIST_BATCH_ROWS: u16 = 500;

pub enum Listed {
    Short {
        tasks: Vec<Task>,
        /// Where the next page begins, if there is one.
        next: Option<Position>,
    },
    /// The complete list is longer than `MAX_SHORT_LIST_ROWS`, so [`OwnedTasks::read_long_list`] must read it.
    Long,
}

/// A part of a long list. The fingerprint comes first, because the response's ETag is computed from it and sent before
/// the tasks.
pub enum LongListPart {
    Fingerprint(String),
    Json(Vec<u8>),
}

/// Renders a batch of tasks as JSON. The last argument is true for the first batch.
pub type RenderBatch = fn(&UserId, &[Task], bool) -> Vec<u8>;

impl OwnedTasks {
    pub async fn list(&self, listing: ListQuery) -> Result<Listed, StoreError> {
        let is_complete_list = listing.page.is_none();
        let listing = Arc::new(ListQuery {
            page: listing.page.or(Some(Page {
                limit: MAX_SHORT_LIST_ROWS,
                after: None,
            })),
            ..listing
        });
        let read = || {
            let listing = Arc::clone(&listing);
            self.owner.run(Access::Read, async move |connection, owner| {
                read_page(connection, owner, &listing).await
            })
        };
        let mut page = read().await?;
        if page.has_stale_keys {
            self.update_sort_keys().await?;
            page = read().await?;
        }
        if is_complete_list && page.next.is_some() {
            return Ok(Listed::Long);
        }
        Ok(Listed::Short {
            tasks: page.tasks,
            next: page.next,
        })
    }

    /// Waits for a permit to read one long list. It must be kept until the client has received the whole list.
    pub async fn long_list_permit(&self) -> Result<QuotaPermit, StoreError> {
        self.owner.long_list_permit().await
    }

    /// Reads a list from one snapshot and sends its parts. The speed depends on the receiver, because the channel is
    /// bounded. The JSON is rendered on the thread that reads the rows, which has a low priority on SQLite.
    pub async fn read_long_list(
        &self,
        listing: ListQuery,
        render: RenderBatch,
        parts: mpsc::Sender<LongListPart>,
    ) -> Result<(), StoreError> {
        let is_sent = AtomicBool::new(false);
        let read = async move |connection: &mut Connection<'_>, owner: &UserId| {
            if is_sent.load(Ordering::Relaxed) {
                // The call is repeated after a lost connection, but the client already has a part of the list.
                return Err(QueryBuilderError(
                    "the connection was lost within a long list".into(),
                ));
            }
            let send = async |connection: &mut Connection<'_>| {
                let fingerprint = read_fingerprint(connection, owner, &listing).await?;
                let (mut tasks, mut next) = read_batch(connection, owner, &listing, None).await?;
                let mut json = render(owner, &tasks, true);
                is_sent.store(true, Ordering::Relaxed);
                // Sending fails if the client is gone or needs no tasks (`HEAD`, 304).
                let mut sent = parts.send(LongListPart::Fingerprint(fingerprint)).await;
                while sent.is_ok() {
                    sent = parts.send(LongListPart::Json(json)).await;
                    if next.is_none() {
                        break;
                    }
                    (tasks, next) = read_batch(connection, owner, &listing, next).await?;
                    json = render(owner, &tasks, false);
                }
                Ok(())
            };
            connection.snapshot(send).await
        };
        self.owner.run(Access::LongList, read).await
    }
}

async fn read_batch(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
    after: Option<Position>,
) -> QueryResult<(Vec<Task>, Option<Position>)> {
    let batch = ListQuery {
        page: Some(Page {
            limit: LONG_LIST_BATCH_ROWS,
            after,
        }),
        ..listing.clone()
    };
    let page = read_page(connection, owner, &batch).await?;
    Ok((page.tasks, page.next))
}

/// A task, its sort key, and whether any of the owner's tasks has a stale title key.
type ListRow = (Row, Option<Vec<u8>>, bool);

struct ReadPage {
    tasks: Vec<Task>,
    next: Option<Position>,
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

/// Adds the order, the start position and the limit to a query. The limit is one row more than the page, to find out
/// whether there is a next page. Each order has an index. The position is compared as a row value, so that PostgreSQL
/// starts reading the index at the position. SQLite uses only the first column of the row value for that. `infinity`
/// makes tasks without a due date sort last: it is a timestamp in PostgreSQL, and in SQLite a text that sorts after
/// all digits.
macro_rules! order_and_paginate {
    ($query:expr, $listing:expr) => {{
        let query = match $listing.sort {
            Sort::Created => $query.order((tasks::created_at.desc(), tasks::id.desc())),
            Sort::Title => $query.order((tasks::title_key.asc(), tasks::id.asc())),
            Sort::DueDate => $query.order((
                sql::<SqlTimestamp>("coalesce(due_date, 'infinity')").asc(),
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

/// The column by which the list is sorted. Its values are read as bytes, independently of its type.
fn sort_key(sort: Sort) -> &'static str {
    match sort {
        Sort::Created => "created_at",
        Sort::Title => "title_key",
        Sort::DueDate => "due_date",
    }
}

async fn read_page(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
) -> QueryResult<ReadPage> {
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
            listing
        );
        // The SQL text depends on the sort order, and on whether there is a status and a position.
        static TEXTS: [[[OnceLock<String>; 2]; 2]; 3] =
            [const { [const { [const { OnceLock::new() }; 2] }; 2] }; 3];
        let text = &TEXTS[listing.sort as usize][usize::from(listing.status.completed().is_some())];
        match &listing.page {
            Some(page) => Prepared::with_text(query, &text[usize::from(page.after.is_some())]),
            None => Prepared::new(query),
        }
        .load(c)
    })?;
    let has_stale_keys = rows.iter().any(|(_, _, has_stale_keys)| *has_stale_keys);
    let limit = listing
        .page
        .as_ref()
        .map_or(usize::MAX, |page| usize::from(page.limit));
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
    Ok(ReadPage {
        tasks: rows.into_iter().map(|(row, _, _)| row.into()).collect(),
        next,
        has_stale_keys,
    })
}

/// Reads a fingerprint of a list in one statement, which is all that `HEAD` and a 304 require.
///
/// The statement computes a number for each task from its id and its version. The fingerprint consists of the count of
/// the tasks, the sum of their numbers, and the sum of the squares of these numbers. It changes whenever a task is
/// added, changed or removed, except by an improbable coincidence. It does not depend on the order of the list, because
/// an ETag belongs to one URL, which determines the order.
async fn read_fingerprint(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
) -> QueryResult<String> {
    // The numbers and squares are reduced modulo the prime 2^31 - 1, so that no intermediate result exceeds 64 bits.
    macro_rules! task_number {
        () => {
            "(id % 2147483647 * 1103515245 + version) % 2147483647"
        };
    }
    let sums = concat!(
        "count(*) || ' ' || sum(",
        task_number!(),
        ") || ' ' || sum((",
        task_number!(),
        ") * (",
        task_number!(),
        ") % 2147483647)"
    );
    let fingerprint: Vec<Option<String>> = on_both!(connection, |c| {
        // The condition is always true. It makes SQLite use the index whose order is closest to that of the table.
        let query = filter_tasks!(owner, listing, sql::<Nullable<Text>>(sums))
            .filter(sql::<Bool>("created_at >= '-infinity'"));
        Prepared::new(query).load(c)
    })?;
    // The result is null if all tasks were deleted after the list had been found to be long.
    Ok(fingerprint.into_iter().flatten().collect())
}
