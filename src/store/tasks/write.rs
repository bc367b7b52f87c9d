//! Statements that change a task. Each change is one statement.

use diesel::dsl::sql;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;

use super::{OwnedTasks, Row, columns, find, owned};
use crate::db::timestamp::DbTimestamp;
use crate::db::{Access, Connection, Prepared, StoreError, on_both, prepared};
use crate::domain::{NewTask, Patch, Task, TaskChanges, TaskId, Timestamp, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// A condition for a write. The statement that writes also checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    None,
    /// The task's version is one of these.
    VersionIn(Vec<i64>),
}

impl Condition {
    fn holds_for(&self, task: &Task) -> bool {
        match self {
            Self::None => true,
            Self::VersionIn(versions) => versions.contains(&task.version),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<T> {
    Done(T),
    /// The condition does not hold: the task has changed since.
    Outdated,
    Missing,
}

#[derive(AsChangeset)]
#[diesel(table_name = tasks)]
struct Changes<'a> {
    title: Option<&'a str>,
    title_key: Option<Vec<u8>>,
    keyed_title: Option<&'a str>,
    description: Option<Option<&'a str>>,
    completed: Option<bool>,
    due_date: Option<Option<DbTimestamp>>,
}

impl<'a> From<&'a TaskChanges> for Changes<'a> {
    fn from(changes: &'a TaskChanges) -> Self {
        let TaskChanges {
            title,
            description,
            completed,
            due_date,
        } = changes;
        let title_text = title.as_ref().map(|title| title.as_str());
        Self {
            title: title_text,
            title_key: title.as_ref().map(|title| title.sort_key()),
            keyed_title: title_text,
            description: column(description).map(|text| text.map(|text| text.as_str())),
            completed: *completed,
            due_date: column(due_date).map(|due| due.map(|due| DbTimestamp(*due))),
        }
    }
}

/// The form in which a changeset takes a nullable column: `None` leaves it alone, `Some(None)` sets it to null.
fn column<T>(patch: &Patch<T>) -> Option<Option<&T>> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(None),
        Patch::Set(value) => Some(Some(value)),
    }
}

/// Prepares a statement whose text depends on which fields change.
macro_rules! varying {
    ($query:expr) => {
        Prepared::new($query)
    };
}

/// `UPDATE … SET <change>, version = version + 1, updated_at = <now> WHERE <owner> AND <id> [AND <version>]
/// RETURNING …`. It is a macro because the types of Diesel's statements are too long to write in a signature. The last
/// argument is `prepared` if the same columns change each time, so that the text is constant, and else `varying`.
macro_rules! change {
    ($conn:expr, $owner:expr, $id:expr, $condition:expr, $change:expr, $prepared:ident) => {{
        let task = owned($owner).filter(tasks::id.eq($id.0));
        let change = (
            $change,
            tasks::version.eq(tasks::version + 1),
            tasks::updated_at.eq(DbTimestamp(Timestamp::now())),
        );
        // `get_results` although there is at most one row: `insert` says why.
        let mut changed: Vec<Row> = on_both!($conn, |c| match $condition {
            Condition::None => {
                $prepared!(diesel::update(task).set(change).returning(columns())).get_results(c)
            }
            Condition::VersionIn(versions) if versions.len() == 1 => {
                let task = task.filter(tasks::version.eq(versions[0]));
                $prepared!(diesel::update(task).set(change).returning(columns())).get_results(c)
            }
            // Not prepared: on SQLite the text depends on the number of versions, which clients choose.
            Condition::VersionIn(versions) => diesel::update(task.filter(tasks::version.eq_any(versions)))
                .set(change)
                .returning(columns())
                .get_results(c),
        })?;
        match changed.pop() {
            Some(row) => Ok(Written::Done(Task::from(row))),
            None => why_nothing_changed($conn, $owner, $id, $condition).await,
        }
    }};
}

impl OwnedTasks {
    pub async fn create(&self, new: NewTask) -> Result<Task, StoreError> {
        let create = async move |connection: &mut Connection<'_>, owner: &UserId| {
            insert(connection, owner, &new).await
        };
        self.owner.run(Access::Write, create).await
    }

    pub async fn update(
        &self,
        id: TaskId,
        changes: TaskChanges,
        condition: Condition,
    ) -> Result<Written<Task>, StoreError> {
        let update = async move |connection: &mut Connection<'_>, owner: &UserId| {
            if changes.is_empty() {
                return unchanged(connection, owner, id, &condition).await;
            }
            change!(
                connection,
                owner,
                id,
                &condition,
                Changes::from(&changes),
                varying
            )
        };
        self.owner.run(Access::Write, update).await
    }

    /// Without a value, flips `completed` in the statement itself, so that parallel calls are never lost.
    pub async fn complete(
        &self,
        id: TaskId,
        completed: Option<bool>,
        condition: Condition,
    ) -> Result<Written<Task>, StoreError> {
        let complete = async move |connection: &mut Connection<'_>, owner: &UserId| match completed {
            Some(completed) => change!(
                connection,
                owner,
                id,
                &condition,
                tasks::completed.eq(completed),
                prepared
            ),
            None => change!(
                connection,
                owner,
                id,
                &condition,
                tasks::completed.eq(diesel::dsl::not(tasks::completed)),
                prepared
            ),
        };
        self.owner.run(Access::Write, complete).await
    }

    pub async fn delete(&self, id: TaskId, condition: Condition) -> Result<Written<()>, StoreError> {
        let delete = async move |connection: &mut Connection<'_>, owner: &UserId| {
            let task = owned(owner).filter(tasks::id.eq(id.0));
            let deleted = on_both!(connection, |c| match &condition {
                Condition::None => diesel::delete(task).execute(c),
                Condition::VersionIn(versions) =>
                    diesel::delete(task.filter(tasks::version.eq_any(versions))).execute(c),
            })?;
            match deleted {
                0 => why_nothing_changed(connection, owner, id, &condition).await,
                _ => Ok(Written::Done(())),
            }
        };
        self.owner.run(Access::Write, delete).await
    }
}

/// The id of a new task. Above `TaskId::MAX` the expression overflows and the statement fails, so that no task
/// gets an id that JavaScript cannot represent. A CHECK constraint would be simpler, but SQLite cannot add one
/// to an existing table.
const REPRESENTABLE_ID: &str =
    "abs(CASE WHEN id > 9007199254740991 THEN -9223372036854775807 - 1 ELSE id END)";

pub(in crate::store) async fn insert(
    conn: &mut Connection<'_>,
    owner: &UserId,
    new: &NewTask,
) -> QueryResult<Task> {
    let now = Timestamp::now();
    let NewTask {
        title,
        description,
        completed,
        due_date,
    } = new;
    let row = (
        tasks::user_id.eq(owner.as_str()),
        tasks::title.eq(title.as_str()),
        tasks::title_key.eq(title.sort_key()),
        tasks::keyed_title.eq(title.as_str()),
        tasks::description.eq(description.as_ref().map(|text| text.as_str())),
        tasks::completed.eq(*completed),
        tasks::due_date.eq(due_date.map(DbTimestamp)),
        tasks::created_at.eq(DbTimestamp(now)),
        tasks::updated_at.eq(DbTimestamp(now)),
    );
    // Not `get_result`, which stops at the first row: SQLite commits when the statement is stepped past its
    // last row, and an error there, such as a full disk, must not be missed.
    let mut rows: Vec<Row> = on_both!(conn, |c| {
        let insert = diesel::insert_into(tasks::table).values(row).returning((
            sql::<BigInt>(REPRESENTABLE_ID),
            tasks::title,
            tasks::description,
            tasks::completed,
            tasks::due_date,
            tasks::created_at,
            tasks::updated_at,
            tasks::version,
        ));
        prepared!(insert).get_results(c)
    })
    .map_err(explain_id_overflow)?;
    let row = rows.pop().ok_or(diesel::result::Error::NotFound)?;
    Ok(row.into())
}

/// Both databases reject the smallest integer as an argument of `abs`: PostgreSQL with `bigint out of range`,
/// SQLite with `integer overflow`.
fn explain_id_overflow(error: DieselError) -> DieselError {
    match &error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, found)
            if found.message().contains("out of range") || found.message() == "integer overflow" =>
        {
            let problem = format!(
                "the next task id is beyond {}, the largest that JavaScript can represent: set the sequence of \
                 tasks.id back ({})",
                TaskId::MAX,
                found.message()
            );
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(problem))
        }
        _ => error,
    }
}

async fn unchanged(
    conn: &mut Connection<'_>,
    owner: &UserId,
    id: TaskId,
    condition: &Condition,
) -> QueryResult<Written<Task>> {
    Ok(match find(conn, owner, id).await? {
        None => Written::Missing,
        Some(task) if !condition.holds_for(&task) => Written::Outdated,
        Some(task) => Written::Done(task),
    })
}

/// The write did not take place; this finds out why, for the client.
async fn why_nothing_changed<T>(
    conn: &mut Connection<'_>,
    owner: &UserId,
    id: TaskId,
    condition: &Condition,
) -> QueryResult<Written<T>> {
    let there = *condition != Condition::None && find(conn, owner, id).await?.is_some();
    Ok(if there {
        Written::Outdated
    } else {
        Written::Missing
    })
}
