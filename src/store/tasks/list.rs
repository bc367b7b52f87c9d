//! Lists: every filter and sort, whole or by the page.

use std::sync::Arc;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use tokio::sync::mpsc;

use super::{OwnedTasks, Row, columns, owned};
use crate::db::timestamp::{Moment, Stored};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{Listing, Page, Position, Sort, Task, TaskId, UserId};
use crate::quota::Share;
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// How many tasks a list without `limit` may have to be read over a connection that others share. A longer one
/// gets a connection of its own, or it would stand in front of their calls.
const SHORT_LIST: u16 = 500;

/// How many tasks of a long list are in memory at a time.
const LONG_LIST_PORTION: u16 = 500;

pub enum Listed {
    Short {
        tasks: Vec<Task>,
        /// Where the next page begins, if there is one.
        next: Option<Position>,
    },
    /// To be read with [`OwnedTasks::read_long_list`].
    Long,
}

/// What a long list is read in. All versions come first, because the tag is made of them and stands before
/// the first task of an answer.
pub enum Portion {
    Versions(Vec<(TaskId, i64)>),
    Tasks(Vec<Task>),
}

impl OwnedTasks {
    pub async fn list(&self, listing: Listing) -> Result<Listed, StoreError> {
        let whole = listing.page.is_none();
        let listing = Arc::new(Listing {
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

    /// To be had before a long list is read, and kept until the client has it all.
    pub async fn long_list_permit(&self) -> Result<Share, StoreError> {
        self.owner.long_list_permit().await
    }

    /// Reads all of a list in one snapshot, as fast as `portions` are taken and as far as they are.
    pub async fn read_long_list(
        &self,
        listing: Listing,
        portions: mpsc::Sender<Portion>,
    ) -> Result<(), StoreError> {
        let start = Listing {
            page: Some(Page {
                limit: LONG_LIST_PORTION,
                after: None,
            }),
            ..listing
        };
        let read = async move |connection: &mut Connection<'_>, owner: &UserId| {
            let all =
                async |connection: &mut Connection<'_>| send_all(connection, owner, &start, &portions).await;
            connection.snapshot(all).await
        };
        self.owner.run(Access::LongList, read).await
    }
}

async fn send_all(
    connection: &mut Connection<'_>,
    owner: &UserId,
    start: &Listing,
    portions: &mpsc::Sender<Portion>,
) -> QueryResult<()> {
    let mut listing = start.clone();
    loop {
        let (versions, next) = read_versions(connection, owner, &listing).await?;
        let is_last = next.is_none();
        move_to(&mut listing, next);
        // Nobody takes them when the client has hung up, or has what it asks for already.
        if portions.send(Portion::Versions(versions)).await.is_err() {
            return Ok(());
        }
        if is_last {
            break;
        }
    }
    let mut listing = start.clone();
    loop {
        let page = read_page(connection, owner, &listing).await?;
        let is_last = page.next.is_none();
        move_to(&mut listing, page.next);
        if portions.send(Portion::Tasks(page.tasks)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

fn move_to(listing: &mut Listing, position: Option<Position>) {
    if let Some(page) = &mut listing.page {
        page.after = position;
    }
}

/// A task; what it is sorted by; and whether the owner has tasks whose sort keys are not made of their
/// titles.
type ListRow = (Row, Option<Vec<u8>>, bool);

struct ReadPage {
    tasks: Vec<Task>,
    next: Option<Position>,
    /// Such tasks may be in the wrong places.
    some_key_wrong: bool,
}

/// The owner's tasks of one status. A macro, and no function, because the type of a boxed query names
/// the database.
macro_rules! filtered {
    ($owner:expr, $listing:expr, $selection:expr) => {{
        let query = owned($owner).select($selection).into_boxed::<Db>();
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

/// What the list is sorted by: the bytes of the value, whatever its type.
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
    listing: &Listing,
) -> QueryResult<ReadPage> {
    let rows: Vec<ListRow> = on_both!(connection, |c| {
        // Of one type for every sort, so that it needs no box; only a list by title needs the answer.
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
        Prepared(query).load(c)
    })?;
    let some_key_wrong = rows.iter().any(|(_, _, some_key_wrong)| *some_key_wrong);
    let (rows, next) = cut(listing, rows, |(row, key, _)| Position {
        key: key.clone(),
        id: TaskId(row.id),
    });
    Ok(ReadPage {
        tasks: rows.into_iter().map(|(row, _, _)| row.into()).collect(),
        next,
        some_key_wrong,
    })
}

async fn read_versions(
    connection: &mut Connection<'_>,
    owner: &UserId,
    listing: &Listing,
) -> QueryResult<(Vec<(TaskId, i64)>, Option<Position>)> {
    let rows: Vec<(i64, i64, Option<Vec<u8>>)> = on_both!(connection, |c| {
        let key = sql::<Nullable<Binary>>(sort_key(listing.sort));
        let query = sorted!(
            filtered!(owner, listing, (tasks::id, tasks::version, key)),
            listing
        );
        Prepared(query).load(c)
    })?;
    let (rows, next) = cut(listing, rows, |(id, _, key)| Position {
        key: key.clone(),
        id: TaskId(*id),
    });
    let versions = rows.into_iter().map(|(id, version, _)| (TaskId(id), version));
    Ok((versions.collect(), next))
}

/// Takes away the one row more than was asked for, which only shows that there is a next page: the page's last
/// row is where that one begins.
fn cut<R>(
    listing: &Listing,
    mut rows: Vec<R>,
    position: impl Fn(&R) -> Position,
) -> (Vec<R>, Option<Position>) {
    let limit = listing
        .page
        .as_ref()
        .map_or(usize::MAX, |page| usize::from(page.limit));
    if rows.len() <= limit {
        return (rows, None);
    }
    rows.truncate(limit);
    let next = rows.last().map(position);
    (rows, next)
}
