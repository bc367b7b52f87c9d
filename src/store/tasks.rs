//! The tasks of one user, and what the queries of tasks have in common.

mod list;
mod long_list;
mod sort_keys;
mod write;

use diesel::pg::Pg;

pub(super) use self::write::insert;
pub use self::write::{Condition, Written};
use super::owner::Owner;
use super::prelude::*;
use super::schema::tasks;
use crate::db::timestamp::DbTimestamp;
use crate::db::{Access, Connection, StoreError, on_both, prepared};
use crate::domain::{Task, TaskId, UserId};

/// The tasks of one user. The code that serves requests reaches the tasks only through this type; the operator's
/// commands use [`crate::store::operator`].
///
/// This type is created from an [`Owner`], which can only be created from a user whom the authentication guard has
/// verified. No method takes a user's id, so a handler cannot reach another user's tasks.
///
/// ```compile_fail
/// // This does not compile, because only the module `auth` can create an authenticated user.
/// use todo_backend::auth::AuthenticatedUser;
/// fn forge(known: AuthenticatedUser) -> AuthenticatedUser {
///     AuthenticatedUser { identity: known.identity }
/// }
/// ```
///
/// ```
/// // This compiles, so the example above fails only because it creates a user.
/// use todo_backend::auth::AuthenticatedUser;
/// fn pass_on(known: AuthenticatedUser) -> AuthenticatedUser {
///     known
/// }
/// ```
#[derive(Clone)]
pub struct OwnedTasks {
    pub(super) owner: Owner,
}

#[derive(Queryable, Selectable, diesel::Insertable)]
#[diesel(table_name = tasks, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub(super) id: i64,
    title: String,
    description: Option<String>,
    completed: bool,
    due_date: Option<DbTimestamp>,
    created_at: DbTimestamp,
    updated_at: DbTimestamp,
    version: i64,
}

pub(super) type Columns = <Row as Selectable<Pg>>::SelectExpression;

/// The columns of a `Row`. The type names PostgreSQL, but the expression is the same for both databases.
pub(super) fn columns() -> Columns {
    <Row as Selectable<Pg>>::construct_selection()
}

impl From<Row> for Task {
    fn from(row: Row) -> Self {
        Self {
            id: TaskId(row.id),
            title: row.title,
            description: row.description,
            completed: row.completed,
            due_date: row.due_date.map(Into::into),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            version: row.version,
        }
    }
}

/// Selects the tasks of one user. Diesel queries of a user's tasks start with this function, so that they contain
/// the filter for the owner.
pub(super) fn owned(
    owner: &UserId,
) -> diesel::dsl::Filter<tasks::table, diesel::dsl::Eq<tasks::user_id, &str>> {
    tasks::table.filter(tasks::user_id.eq(owner.as_str()))
}

async fn find(connection: &mut Connection<'_>, owner: &UserId, id: TaskId) -> QueryResult<Option<Task>> {
    let task = owned(owner).filter(tasks::id.eq(id.0)).select(columns());
    let rows: Vec<Row> = on_both!(connection, |c| prepared!(task).get_results(c))?;
    Ok(rows.into_iter().next().map(Task::from))
}

impl Owner {
    pub fn tasks(self) -> OwnedTasks {
        OwnedTasks { owner: self }
    }
}

impl OwnedTasks {
    pub fn owner(&self) -> &UserId {
        self.owner.id()
    }

    pub async fn get(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        let get =
            async move |connection: &mut Connection<'_>, owner: &UserId| find(connection, owner, id).await;
        self.owner.run(Access::Read, get).await
    }
}
