//! PostgreSQL, reached asynchronously, with statements pipelined over a few connections.

mod connect;
mod connect_error;
mod connection;
mod pool;
mod process;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use tokio::time::{sleep, timeout_at};

pub use self::connect::Connector;
pub use self::connection::{PgConnection, Role};
use self::pool::{Claim, Lease, WorkerPool};
pub use self::process::Process;
use super::error::{is_kind, lost_connection};
use super::{Access, Connection, StoreError};
use crate::domain::UserId;
use crate::telemetry::{PoolState, RequestContext};

/// How often a call is tried. After a restart of the server, several connections may be dead.
const ATTEMPTS: usize = 3;

/// The error of a server that shuts down looks like any other error, but the server closes the connection
/// within this time.
const LAST_MESSAGE_BEFORE_END: Duration = Duration::from_millis(20);

/// The state that all HTTP workers share.
#[derive(Clone)]
pub struct Postgres(Arc<Process>);

/// The connections of one HTTP worker.
#[derive(Clone)]
pub struct PostgresWorker(Rc<WorkerPool>);

impl Postgres {
    pub fn new(process: Process) -> Self {
        Self(Arc::new(process))
    }

    pub fn worker(&self) -> PostgresWorker {
        PostgresWorker(WorkerPool::new(Arc::clone(&self.0)))
    }

    pub fn connections_per_worker(&self) -> usize {
        self.0.connections_per_worker
    }

    pub fn connector(&self) -> &Connector {
        &self.0.connector
    }

    pub fn pool_state(&self) -> PoolState {
        PoolState {
            open: self.0.open.load(Ordering::Relaxed),
            in_use: self.0.in_use.load(Ordering::Relaxed),
            waiting: self.0.waiting.load(Ordering::Relaxed),
        }
    }
}

impl PostgresWorker {
    pub async fn run<T: 'static>(
        &self,
        access: Access,
        user: Option<&UserId>,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + 'static,
    ) -> Result<T, StoreError> {
        let process = &self.0.process;
        let mut deadline = Instant::now() + process.acquire_timeout;
        let claim = Claim {
            access,
            user: user.cloned(),
        };
        let work = Rc::new(work);
        let mut attempt = 1;
        loop {
            let lease = self.0.acquire(claim.clone(), deadline).await?;
            let running = Detached::new(on_lease(lease, Rc::clone(&work)));
            let outcome = match access {
                // No timeout: a long list is read at its client's pace.
                Access::LongList => running.await,
                _ => timeout_at((deadline + process.statement_timeout).into(), running)
                    .await
                    .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(failure) if attempt < ATTEMPTS && failure.may_be_repeated(access) => {
                    attempt += 1;
                    // The first attempt may have used up its time, and finding another connection takes some as well.
                    deadline = Instant::now() + process.acquire_timeout;
                    if !failure.connection_lost {
                        // A random delay, because the other transaction of the conflict is repeated as well.
                        sleep(Duration::from_millis(fastrand::u64(1..20))).await;
                    }
                }
                Err(failure) => return Err(failure.error.into()),
            }
        }
    }
}

struct Failure {
    error: DieselError,
    connection_lost: bool,
}

impl Failure {
    /// Only a call that has had no effect, or has the same effect when it is repeated.
    fn may_be_repeated(&self, access: Access) -> bool {
        let rolled_back = is_kind(&self.error, DatabaseErrorKind::SerializationFailure);
        (rolled_back && access != Access::LongList) || (self.connection_lost && access.is_repeatable())
    }
}

async fn on_lease<T>(
    mut lease: Lease,
    work: Rc<impl AsyncFn(&mut Connection<'_>) -> QueryResult<T>>,
) -> Result<T, Failure> {
    let connection = Rc::clone(&lease.connection);
    lease.in_progress = true;
    let outcome = work(&mut Connection::Postgres(&connection)).await;
    lease.in_progress = false;
    let error = match outcome {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // The statement was the head of the pipeline. A second attempt would take as long, and delay other calls as
    // well.
    let timed_out = connection.take_overdue();
    if is_kind(&error, DatabaseErrorKind::Unknown) && !connection.is_closed() {
        sleep(LAST_MESSAGE_BEFORE_END).await;
    }
    if timed_out {
        return Err(Failure {
            error,
            connection_lost: false,
        });
    }
    let connection_lost = connection.is_closed() || lost_connection(&error);
    if connection_lost {
        lease.note_loss();
    }
    // A server that became a standby refuses all writes from now on.
    if connection_lost || is_kind(&error, DatabaseErrorKind::ReadOnlyTransaction) {
        connection.close();
    }
    Err(Failure {
        error,
        connection_lost,
    })
}

/// Runs to its end even if its caller drops it, for example because the client hung up. Otherwise a response of
/// the server would stay unread, or a transaction open. The result is discarded.
struct Detached<T: 'static>(Option<Pin<Box<dyn Future<Output = T>>>>);

impl<T> Detached<T> {
    fn new(work: impl Future<Output = T> + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = work.as_mut().poll(context);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T> Drop for Detached<T> {
    fn drop(&mut self) {
        // Work that panicked cannot be polled again.
        if let Some(work) = self.0.take()
            && !std::thread::panicking()
        {
            RequestContext::spawn(async move {
                let _ = work.await;
            });
        }
    }
}
