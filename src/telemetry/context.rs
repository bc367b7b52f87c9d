//! The request that the current Tokio task handles. Each log line of the Tokio task contains the ids of the request.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::rt::task::JoinHandle;

/// The ids of a request. Cloning them is cheap, so that work on other threads can log them as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    pub request_id: Arc<str>,
    /// The trace id of the `traceparent` header, if the request has a valid one.
    pub trace_id: Option<Arc<str>>,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

impl RequestContext {
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    pub fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// Spawns a task that may outlive the request. Its log lines still contain the ids of the request.
    pub fn spawn<T: 'static>(work: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        // Without the box, the compiler would generate the code of Tokio's task again for each type of future.
        let work: Pin<Box<dyn Future<Output = T>>> = match Self::current() {
            Some(context) => Box::pin(context.scope(work)),
            None => Box::pin(work),
        };
        actix_web::rt::spawn(work)
    }

    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}
