//! The database connections of one HTTP worker: one connection for all its reads, and others for its writes.

use std::cell::Cell;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::dsl::{not, now};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::NoTls;

diesel::table! {
    tasks (id) {
        id -> BigInt,
        user_id -> Text,
        title -> Text,
        description -> Nullable<Text>,
        completed -> Bool,
        due_date -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

#[derive(Queryable, Serialize)]
pub struct Task {
    id: i64,
    user_id: String,
    title: String,
    description: Option<String>,
    completed: bool,
    due_date: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
pub struct NewTask {
    title: String,
    description: Option<String>,
    due_date: Option<DateTime<Utc>>,
}

pub struct Database {
    reader: AsyncPgConnection,
    writers: Vec<Writer>,
    /// One permit for each write that may be in progress on the connections for writes.
    permits: Semaphore,
}

struct Writer {
    connection: AsyncPgConnection,
    in_flight: Cell<usize>,
}

/// The permission for one write on a connection. The write counts as in flight until this is dropped.
struct WritePermit<'a> {
    writer: &'a Writer,
    _permit: SemaphorePermit<'a>,
}

impl Drop for WritePermit<'_> {
    fn drop(&mut self) {
        self.writer.in_flight.set(self.writer.in_flight.get() - 1);
    }
}

/// A query whose prepared statement Diesel caches. For updates, Diesel does not do so by default, because it assumes
/// that their text varies.
struct Prepared<Q>(Q);

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

async fn connect(url: &str) -> Result<AsyncPgConnection, Box<dyn std::error::Error>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The connection is driven on the thread of the HTTP worker that calls this function, so that a query wakes no
    // other thread.
    actix_web::rt::spawn(connection);
    Ok(AsyncPgConnection::try_from(client).await?)
}

impl Database {
    pub async fn connect(
        url: &str,
        writers: usize,
        depth: usize,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut connected = Vec::new();
        for _ in 0..writers {
            let connection = connect(url).await?;
            connected.push(Writer {
                connection,
                in_flight: Cell::new(0),
            });
        }
        Ok(Self {
            reader: connect(url).await?,
            writers: connected,
            permits: Semaphore::new(writers * depth),
        })
    }

    pub async fn task(&self, id: i64) -> QueryResult<Task> {
        tasks::table.find(id).first(&mut &self.reader).await
    }

    pub async fn tasks_of(&self, user: &str) -> QueryResult<Vec<Task>> {
        let own = tasks::table.filter(tasks::user_id.eq(user));
        own.order((tasks::created_at.desc(), tasks::id.desc()))
            .load(&mut &self.reader)
            .await
    }

    pub async fn create(&self, user: &str, new: &NewTask) -> QueryResult<Task> {
        let values = (
            tasks::user_id.eq(user),
            tasks::title.eq(&new.title),
            tasks::description.eq(&new.description),
            tasks::due_date.eq(new.due_date),
        );
        let permit = self.acquire_writer().await?;
        let insert = diesel::insert_into(tasks::table).values(values);
        insert
            .returning(tasks::all_columns)
            .get_result(&mut &permit.writer.connection)
            .await
    }

    pub async fn toggle(&self, id: i64) -> QueryResult<Task> {
        let changes = (
            tasks::completed.eq(not(tasks::completed)),
            tasks::updated_at.eq(now),
        );
        let permit = self.acquire_writer().await?;
        let update = diesel::update(tasks::table.find(id)).set(changes);
        Prepared(update.returning(tasks::all_columns))
            .get_result(&mut &permit.writer.connection)
            .await
    }

    /// Waits for a permit, and returns the connection with the fewest writes in flight.
    async fn acquire_writer(&self) -> QueryResult<WritePermit<'_>> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| Error::BrokenTransactionManager)?;
        let writer = self.writers.iter().min_by_key(|writer| writer.in_flight.get());
        let writer = writer.ok_or(Error::BrokenTransactionManager)?;
        writer.in_flight.set(writer.in_flight.get() + 1);
        Ok(WritePermit { writer, _permit })
    }
}
