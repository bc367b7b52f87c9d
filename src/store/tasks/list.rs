//! Lists with every filter and sort, complete or by page.

use std::sync::{Arc, OnceLock};

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use tokio::sync::mpsc;

use super::{OwnedTasks, Row, columns, owned};
use crate::db::timestamp::{EncodedTimestamp, SqlTimestamp};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{ListQuery, Page, Position, Sort, Task, TaskId, UserId};
use crate::quota::QuotaPermit;
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The maximum length of a list without `limit` that is read over a shared connection. A longer list gets a
/// connection of its own, because it would delay other users' calls.
const SHORT_LIST: u16 = 500;

/// How many tasks of a long list are read at a time.
const LONG_LIST_BATCH_ROWS: u16 = 500;

pub enum Listed {
    Short {
        tasks: Vec<Task>,
        /// Where the next page begins, if there is one.
        next: Option<Position>,
    },
    /// [`OwnedTasks::read_long_list`] must read it.
    Long,
}

/// A part of a long list. The fingerprint comes first, because the response's ETag is computed from it and is sent
/// before the tasks.
pub enum LongListPart {
    Fingerprint(String),
    Json(Vec<u8>),
}

/// Renders a batch of tasks. The last argument says whether it is the first batch.
pub type RenderBatch = fn(&UserId, &[Task], bool) -> Vec<u8>;

impl OwnedTasks {
    pub async fn list(&self, listing: ListQuery) -> Result<Listed, StoreError> {
        let whole = listing.page.is_none();
        let listing = Arc::new(ListQuery {
            page: listing.page.or(Some(Page {
                limit: SHORT_LIST,
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
        if page.some_key_wrong {
            self.add_sort_keys().await?;
            page = read().await?;
        }
        if whole && page.next.is_some() {
            return Ok(Listed::Long);
        }
        Ok(Listed::Short {
            tasks: page.tasks,
            next: page.next,
        })
    }

    /// Must be taken before a long list is read, and kept until the client has received all of it.
    pub async fn long_list_permit(&self) -> Result<QuotaPermit, StoreError> {
        self.owner.long_list_permit().await
    }

    /// Reads a list from one snapshot, at the pace at which its parts are received. Ends early when the
    /// receiver is dropped. The JSON is rendered where the rows are read, which on SQLite is a thread with a low priority.
    pub async fn read_long_list(
        &self,
        listing: ListQuery,
        render: RenderBatch,
        parts: mpsc::Sender<LongListPart>,
    ) -> Result<(), StoreError> {
        let read = async move |connection: &mut Connection<'_>, owner: &UserId| {
            let send = async |connection: &mut Connection<'_>| {
                send_all(connection, owner, &listing, render, &parts).await
            };
            connection.snapshot(send).await
        };
        self.owner.run(Access::LongList, read).await
    }
}

/// Stops when the receiver is gone, because the client hung up or needs no tasks (`HEAD`, 304).
async fn send_all(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
    render: RenderBatch,
    parts: &mpsc::Sender<LongListPart>,
) -> QueryResult<()> {
    let fingerprint = read_fingerprint(connection, owner, listing).await?;
    let sent = parts.send(LongListPart::Fingerprint(fingerprint)).await;
    let mut receiver_gone = sent.is_err();
    let mut after = None;
    while !receiver_gone {
        let is_first = after.is_none();
        let batch = ListQuery {
            page: Some(Page {
                limit: LONG_LIST_BATCH_ROWS,
                after,
            }),
            ..listing.clone()
        };
        let page = read_page(connection, owner, &batch).await?;
        let json = render(owner, &page.tasks, is_first);
        receiver_gone = parts.send(LongListPart::Json(json)).await.is_err();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

/// A task, its sort key, and whether the owner has tasks whose title keys are out of date.
type ListRow = (Row, Option<Vec<u8>>, bool);

struct ReadPage {
    tasks: Vec<Task>,
    next: Option<Position>,
    /// Title keys are out of date, so the order may be wrong.
    some_key_wrong: bool,
}

/// The owner's tasks with one status. It is a macro because the type of a boxed query depends on the database.
macro_rules! filtered {
    ($owner:expr, $listing:expr, $selection:expr) => {{
        let query = owned($owner).select($selection).into_boxed::<Db>();
        match $listing.status.completed() {
            Some(completed) => query.filter(tasks::completed.eq(completed)),
            None => query,
        }
    }};
}

/// Adds the order, the start position and the limit. The limit is one row more than the page, to find out whether
/// there is a next page. There is an index for each order. The position is compared as a row value, so that
/// PostgreSQL starts reading there; SQLite uses only the first column for that. Tasks without a due date sort last
/// as `infinity`: a timestamp in PostgreSQL, a text that sorts after all digits in SQLite.
macro_rules! sorted {
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
            // The first condition follows from the second, but without it SQLite does not use the index.
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

/// The column that the list is sorted by. It is read as bytes, whatever its type is.
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
        // Only lists by title need this column. The others select a constant, so that all queries have one
        // type.
        let some_key_wrong = sql::<Bool>(match listing.sort {
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
        let query = sorted!(
            filtered!(owner, listing, (columns(), key, some_key_wrong)),
            listing
        );
        // One for each sort, with and without a status, and at a list's beginning and behind a position.
        static TEXTS: [[[OnceLock<String>; 2]; 2]; 3] =
            [const { [const { [const { OnceLock::new() }; 2] }; 2] }; 3];
        let text = &TEXTS[listing.sort as usize][usize::from(listing.status.completed().is_some())];
        match &listing.page {
            Some(page) => Prepared::with_text(query, &text[usize::from(page.after.is_some())]),
            None => Prepared::new(query),
        }
        .load(c)
    })?;
    let some_key_wrong = rows.iter().any(|(_, _, some_key_wrong)| *some_key_wrong);
    let limit = listing
        .page
        .as_ref()
        .map_or(usize::MAX, |page| usize::from(page.limit));
    // The extra row only shows that there is a next page, which begins after the last remaining row.
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
        some_key_wrong,
    })
}

/// Reads the number of the tasks and two sums, of a number for each task and of its square. The number is below 2^31
/// and is computed from the task's id and version. So the sums change whenever a task is added, changed or removed,
/// except by an improbable coincidence, and one statement without any row of the list is enough for `HEAD` and for 304.
/// The order does not matter, because the tag belongs to a URL, which determines the order.
async fn read_fingerprint(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &ListQuery,
) -> QueryResult<String> {
    // 2^31 - 1 is a prime. No intermediate result exceeds 64 bits.
    macro_rules! number {
        () => {
            "(id % 2147483647 * 1103515245 + version) % 2147483647"
        };
    }
    let sums = concat!(
        "count(*) || ' ' || sum(",
        number!(),
        ") || ' ' || sum((",
        number!(),
        ") * (",
        number!(),
        ") % 2147483647)"
    );
    let fingerprint: Vec<Option<String>> = on_both!(connection, |c| {
        // The condition is always true. It makes SQLite choose the index whose order is closest to that of the table.
        let query = filtered!(owner, listing, sql::<Nullable<Text>>(sums))
            .filter(sql::<Bool>("created_at >= '-infinity'"));
        Prepared::new(query).load(c)
    })?;
    // There are no sums if all tasks have been deleted since the list was found to be long.
    Ok(fingerprint.into_iter().flatten().collect())
}
