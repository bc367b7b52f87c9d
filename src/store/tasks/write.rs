//! Creates, changes and deletes tasks. Each of these is one statement, which also checks the condition if there is one.

use diesel::dsl::sql;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;

use super::{OwnedTasks, Row, columns, find, owned};
use crate::db::timestamp::DbTimestamp;
use crate::db::{Access, Connection, Prepared, StoreError, on_both, prepared};
use crate::domain::{NewTask, Task, TaskChanges, TaskId, Timestamp, UserId};
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The condition of a write. The statement that writes also checks the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    None,
    /// The task's version must be in this list. An empty list matches no task: it results from an `If-Match` that
    /// contains none of the service's ETags.
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
    /// The task exists but does not meet the condition.
    Outdated,
    /// The owner has no such task.
    Missing,
}

/// Wraps a statement whose SQL text depends on which fields change.
macro_rules! prepared_varying_text {
    ($query:expr) => {
        Prepared::new($query)
    };
}

/// Executes `UPDATE … SET <change>, version = version + 1, updated_at = <now> WHERE <owner> AND <id> [AND <version>]
/// RETURNING …`. This is a macro because the types of Diesel's statements are too long for a signature. The last
/// argument is `prepared` if the SQL text is constant, and otherwise `prepared_varying_text`.
macro_rules! update_task {
    ($conn:expr, $owner:expr, $id:expr, $condition:expr, $change:expr, $prepared:ident) => {{
        let task = owned($owner).filter(tasks::id.eq($id.0));
        let change = (
            $change,
            tasks::version.eq(tasks::version + 1),
            tasks::updated_at.eq(DbTimestamp(Timestamp::now())),
        );
        // There is at most one row, but `get_results` executes the statement to its end, as in `insert`.
        let mut changed: Vec<Row> = on_both!($conn, |c| match $condition {
            Condition::None => {
                $prepared!(diesel::update(task).set(change).returning(columns())).get_results(c)
            }
            Condition::VersionIn(versions) if versions.len() == 1 => {
                let task = task.filter(tasks::version.eq(versions[0]));
                $prepared!(diesel::update(task).set(change).returning(columns())).get_results(c)
            }
            // This statement is not cached: on SQLite, its text has one placeholder per version, and clients choose
            // how many versions they send. Each text would stay prepared until the connection is closed.
            Condition::VersionIn(versions) => diesel::update(task.filter(tasks::version.eq_any(versions)))
                .set(change)
                .returning(columns())
                .get_results(c),
        })?;
        match changed.pop() {
            Some(row) => Ok(Written::Done(Task::from(row))),
            None => explain_no_change($conn, $owner, $id, $condition).await,
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
        let access = match changes.is_empty() {
            true => Access::Read,
            false => Access::Write,
        };
        let update = async move |connection: &mut Connection<'_>, owner: &UserId| {
            if changes.is_empty() {
                return find_unchanged(connection, owner, id, &condition).await;
            }
            // The pattern contains no `..`, so that the compiler reports a new field that is missing here.
            let TaskChanges {
                title,
                description,
                completed,
                due_date,
            } = &changes;
            let change = (
                title.as_ref().map(|title| {
                    (
                        tasks::title.eq(title.as_str()),
                        tasks::title_key.eq(title.sort_key()),
                        tasks::keyed_title.eq(title.as_str()),
                    )
                }),
                description
                    .as_ref()
                    .map(|text| tasks::description.eq(text.as_ref().map(|text| text.as_str()))),
                completed.map(|completed| tasks::completed.eq(completed)),
                due_date.map(|due| tasks::due_date.eq(due.map(DbTimestamp))),
            );
            update_task!(connection, owner, id, &condition, change, prepared_varying_text)
        };
        self.owner.run(access, update).await
    }

    /// Sets `completed`, or inverts it if no value is given. The statement itself inverts it, so that no parallel
    /// call is lost.
    pub async fn complete(
        &self,
        id: TaskId,
        completed: Option<bool>,
        condition: Condition,
    ) -> Result<Written<Task>, StoreError> {
        let complete = async move |connection: &mut Connection<'_>, owner: &UserId| match completed {
            Some(completed) => {
                let change = tasks::completed.eq(completed);
                update_task!(connection, owner, id, &condition, change, prepared)
            }
            None => {
                let change = tasks::completed.eq(diesel::dsl::not(tasks::completed));
                update_task!(connection, owner, id, &condition, change, prepared)
            }
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
                0 => explain_no_change(connection, owner, id, &condition).await,
                _ => Ok(Written::Done(())),
            }
        };
        self.owner.run(Access::Write, delete).await
    }
}

/// The SQL expression that returns the id of a new task. If the id is above `TaskId::MAX`, the expression overflows
/// and the statement fails, so that no task gets an id that JavaScript cannot represent. A CHECK constraint would be
/// simpler, but SQLite cannot add one to an existing table.
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
    // `get_result` is not used, because it stops at the first row. SQLite checks foreign keys only when the statement is
    // executed beyond its last row, so a violation would not be noticed.
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

/// Replaces the error of `REPRESENTABLE_ID`. Both databases reject the smallest integer as an argument of `abs`:
/// PostgreSQL with `bigint out of range`, SQLite with `integer overflow`.
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

/// Returns the task for an update without changes, if the task meets the condition.
async fn find_unchanged(
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

/// Finds out why a write has changed no row: the task does not exist, or it does not meet the condition.
async fn explain_no_change<T>(
    conn: &mut Connection<'_>,
    owner: &UserId,
    id: TaskId,
    condition: &Condition,
) -> QueryResult<Written<T>> {
    let exists = *condition != Condition::None && find(conn, owner, id).await?.is_some();
    Ok(match exists {
        true => Written::Outdated,
        false => Written::Missing,
    })
}
