//! Asynchronous access to PostgreSQL, with statements pipelined on a few connections.

mod connect;
mod connect_error;
mod connection;
mod pool;
mod shared_state;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use tokio::time::{sleep, timeout_at};

pub use self::connect::Connector;
pub use self::connection::{PgConnection, Role};
pub use self::pool::WorkerPool;
use self::pool::{ConnectionRequest, Lease};
pub use self::shared_state::SharedState;
use super::error::{is_kind, is_lost_connection};
use super::{Access, Connection, StoreError};
use crate::domain::UserId;
use crate::telemetry::RequestContext;

/// The maximum number of attempts of a call. After a restart of the server, the second attempt may get a lost
/// connection as well.
const MAX_ATTEMPTS: usize = 3;

/// The pause before the last attempt of a call that has lost two connections.
const BEFORE_LAST_ATTEMPT: Duration = Duration::from_millis(50);

/// After an error that Diesel does not classify, the service waits at most this long for the server to close the
/// connection. A server that shuts down sends such an error and then closes the connection.
const CLOSE_AFTER_ERROR_TIMEOUT: Duration = Duration::from_millis(200);

impl WorkerPool {
    /// Runs `work` on a connection. The work is repeated after a failure if this is safe for its kind of access.
    pub async fn run<T: 'static>(
        self: &Rc<Self>,
        access: Access,
        user: Option<&UserId>,
        work: impl AsyncFn(&mut Connection<'_>) -> QueryResult<T> + 'static,
    ) -> Result<T, StoreError> {
        let mut deadline = Instant::now() + self.shared.acquire_timeout;
        let last_deadline = deadline + self.shared.statement_timeout;
        let request = ConnectionRequest {
            access,
            user: user.cloned(),
        };
        let work = Rc::new(work);
        let mut attempt = 1;
        loop {
            let lease = self.acquire(request.clone(), deadline).await?;
            let running = Detached::new(run_on_lease(lease, Rc::clone(&work)));
            let outcome = match access {
                // A long list has no timeout here, because the client determines how fast the list is read.
                Access::LongList => running.await,
                _ => timeout_at(last_deadline.into(), running)
                    .await
                    .map_err(|_| StoreError::Unavailable("it did not answer in time".into()))?,
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(failure) if attempt < MAX_ATTEMPTS && failure.allows_retry(access) => {
                    attempt += 1;
                    // The deadline is moved, because the failed attempt may have taken all the time until then.
                    deadline = last_deadline.min(Instant::now() + self.shared.acquire_timeout);
                    if failure.connection_lost && attempt == MAX_ATTEMPTS {
                        // The event that ended two connections may be ending more of them.
                        sleep(BEFORE_LAST_ATTEMPT).await;
                    } else if !failure.connection_lost {
                        // The delay is random, because the conflicting transaction may be repeated as well.
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
    /// Whether the call may be repeated. A call that was rolled back has had no effect.
    fn allows_retry(&self, access: Access) -> bool {
        let rolled_back = is_kind(&self.error, DatabaseErrorKind::SerializationFailure);
        rolled_back || (self.connection_lost && access.is_repeatable())
    }
}

async fn run_on_lease<T>(
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
    // This is read before the pause below, in which other statements of the connection may end.
    let timed_out = connection.take_timed_out();
    if is_kind(&error, DatabaseErrorKind::Unknown) {
        let give_up = Instant::now() + CLOSE_AFTER_ERROR_TIMEOUT;
        while !connection.is_closed() && Instant::now() < give_up {
            sleep(Duration::from_millis(5)).await;
        }
    }
    // The statement of this call has timed out itself and was not only waiting behind another one. It is not
    // repeated: a second attempt would probably take as long, and would delay other calls as well.
    if timed_out {
        return Err(Failure {
            error,
            connection_lost: false,
        });
    }
    let connection_lost = connection.is_closed() || is_lost_connection(&error);
    if connection_lost {
        lease.pool.shared.record_loss();
    }
    // A server that has become a standby rejects writes. A new connection may reach the new primary.
    if connection_lost || is_kind(&error, DatabaseErrorKind::ReadOnlyTransaction) {
        connection.close();
    }
    Err(Failure {
        error,
        connection_lost,
    })
}

/// A future that runs to its end in a task of its own if it is dropped, for example because the client closed the
/// HTTP connection. Its result is then discarded. If the work were cancelled instead, a transaction could stay open,
/// and the database connection would have to be closed.
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
        // A future that has panicked must not be polled again.
        if let Some(work) = self.0.take()
            && !std::thread::panicking()
        {
            RequestContext::spawn(async move {
                let _ = work.await;
            });
        }
    }
}
