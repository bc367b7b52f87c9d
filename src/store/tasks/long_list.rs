//! Complete lists that are too long for one statement: they are sent while they are read.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::dsl::sql;
use diesel::result::Error::QueryBuilderError;
use diesel::sql_types::{Bool, Nullable, Text};
use tokio::sync::mpsc;

use super::list::{filter_tasks, read_page};
use super::{OwnedTasks, owned};
use crate::db::{Access, Connection, Prepared, StoreError, on_both};
use crate::domain::{ListQuery, Page, Task, UserId};
use crate::quota::QuotaPermit;
use crate::store::prelude::*;
use crate::store::schema::tasks;

/// The maximum number of tasks of a long list that one statement reads.
const LONG_LIST_BATCH_ROWS: u16 = 500;

/// Renders a batch of tasks as JSON. The last argument is true for the first batch.
pub type RenderBatch = fn(&UserId, &[Task], bool) -> Vec<u8>;

impl OwnedTasks {
    /// Waits for a permit to read one long list. It must be kept until the client has received the whole list.
    pub async fn long_list_permit(&self) -> Result<QuotaPermit, StoreError> {
        self.owner.long_list_permit().await
    }

    /// Reads a list from one snapshot and sends its parts: first the fingerprint, because the response's ETag is computed
    /// from it and sent before the tasks, and then the JSON of each batch of tasks. The speed depends on the receiver,
    /// because the channel is bounded. The JSON is rendered on the thread that reads the rows, which has a low priority
    /// on SQLite.
    pub async fn read_long_list(
        &self,
        listing: ListQuery,
        render: RenderBatch,
        parts: mpsc::Sender<Vec<u8>>,
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
                let mut page = Page {
                    limit: LONG_LIST_BATCH_ROWS,
                    after: None,
                };
                let mut batch = read_page(connection, owner, &listing, &page).await?;
                let mut json = render(owner, &batch.tasks, true);
                is_sent.store(true, Ordering::Relaxed);
                // Sending fails if the client is gone or needs no tasks (`HEAD`, 304).
                if parts.send(fingerprint.into_bytes()).await.is_err() {
                    return Ok(());
                }
                while parts.send(json).await.is_ok() && batch.next.is_some() {
                    page.after = batch.next;
                    batch = read_page(connection, owner, &listing, &page).await?;
                    json = render(owner, &batch.tasks, false);
                }
                Ok(())
            };
            connection.snapshot(send).await
        };
        self.owner.run(Access::LongList, read).await
    }
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
