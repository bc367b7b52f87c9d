//! The table of open client connections. If there are too many, idle connections are closed, so that clients that
//! connect and send nothing cannot prevent other clients from being served.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

/// The minimum time between two warnings that idle connections are closed.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The number of open connections of all worker threads that have not sent a request yet.
static AWAITING_FIRST_REQUEST: AtomicUsize = AtomicUsize::new(0);

pub fn awaiting_first_request() -> usize {
    AWAITING_FIRST_REQUEST.load(Ordering::Relaxed)
}

/// The open connections of one worker thread.
#[derive(Clone)]
pub struct Connections(Rc<Table>);

struct Table {
    limit: usize,
    open: RefCell<Slab<Rc<Activity>>>,
    /// The number of evicted connections that are still open.
    evicted: Cell<usize>,
    /// The hand of the CLOCK algorithm: the slot at which the last search for an idle connection ended.
    hand: Cell<usize>,
}

/// The state of one connection. The connection shares it with the middleware.
#[derive(Default)]
pub struct Activity {
    /// Each request in flight has a clone of this, so the reference count tells how many there are.
    in_flight: Rc<()>,
    had_request: Cell<bool>,
    closes_after_response: Cell<bool>,
    /// Whether a part of a response has not been written to the socket yet.
    writing: Cell<bool>,
    /// Whether the connection was opened or had a request since the hand last passed it.
    recently_used: Cell<bool>,
    evicted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// The entry of an open connection in the table. It is dropped with the connection.
pub struct Registration {
    table: Rc<Table>,
    key: usize,
    pub activity: Rc<Activity>,
}

impl Connections {
    pub fn new(limit: usize) -> Self {
        Self(Rc::new(Table {
            limit,
            open: RefCell::default(),
            evicted: Cell::new(0),
            hand: Cell::new(0),
        }))
    }

    /// Adds a connection. If there are too many, an idle one is evicted.
    pub fn register(&self) -> Registration {
        let activity = Rc::new(Activity::default());
        activity.recently_used.set(true);
        AWAITING_FIRST_REQUEST.fetch_add(1, Ordering::Relaxed);
        let table = Rc::clone(&self.0);
        // The eviction must precede the insertion, because the new connection is idle and could be evicted itself.
        if table.open.borrow().len() - table.evicted.get() >= table.limit {
            table.evict_one();
        }
        let key = table.open.borrow_mut().insert(Rc::clone(&activity));
        Registration { table, key, activity }
    }
}

impl Table {
    /// Evicts an idle connection with the CLOCK algorithm, which approximates "least recently used" without reordering
    /// a list in each request. The hand goes around twice, because the first round may only clear `recently_used`. If
    /// no connection is idle, none is evicted.
    fn evict_one(&self) {
        let open = self.open.borrow();
        let slots = open.capacity();
        for _ in 0..2 * slots {
            let slot = (self.hand.get() + 1) % slots;
            self.hand.set(slot);
            if let Some(activity) = open.get(slot)
                && activity.is_idle()
                && !activity.recently_used.replace(false)
            {
                activity.evict();
                self.evicted.set(self.evicted.get() + 1);
                log_eviction(self.limit);
                return;
            }
        }
    }
}

fn log_eviction(limit: usize) {
    static LAST_LOGGED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST_LOGGED.lock();
    if last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
        *last = Some(Instant::now());
        log::warn!(
            "more than {limit} client connections on one worker thread: idle ones are closed; raise the limit \
             of open files (ulimit -n, LimitNOFILE=) if these are real clients"
        );
    }
}

impl Activity {
    /// Counts a request as in flight until the returned value is dropped.
    pub fn begin_request(&self) -> Rc<()> {
        self.recently_used.set(true);
        if !self.had_request.replace(true) {
            AWAITING_FIRST_REQUEST.fetch_sub(1, Ordering::Relaxed);
        }
        Rc::clone(&self.in_flight)
    }

    pub fn has_request(&self) -> bool {
        Rc::strong_count(&self.in_flight) > 1
    }

    /// Closes the connection after the response to the current request.
    pub fn close_after_response(&self) {
        self.closes_after_response.set(true);
    }

    /// Whether the handler has returned the last response, so that only the rest of the rejected request is still read.
    pub fn is_closing(&self) -> bool {
        self.closes_after_response.get() && !self.has_request()
    }

    pub fn set_writing(&self, writing: bool) {
        self.writing.set(writing);
    }

    pub fn is_evicted(&self) -> bool {
        self.evicted.get()
    }

    /// Registers the task of the connection, which is woken when the connection is evicted.
    pub fn wake_on_eviction(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }

    fn is_idle(&self) -> bool {
        !self.has_request() && !self.writing.get() && !self.evicted.get()
    }

    fn evict(&self) {
        self.evicted.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.table.open.borrow_mut().remove(self.key);
        if !self.activity.had_request.get() {
            AWAITING_FIRST_REQUEST.fetch_sub(1, Ordering::Relaxed);
        }
        if self.activity.is_evicted() {
            self.table.evicted.set(self.table.evicted.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(open: &[Registration]) -> usize {
        open.iter().filter(|open| open.activity.is_evicted()).count()
    }

    #[test]
    fn a_new_connection_evicts_only_an_idle_one() {
        let connections = Connections::new(4);
        let mut open: Vec<_> = (0..4).map(|_| connections.register()).collect();
        assert_eq!(evicted(&open), 0);
        let _request = open[1].activity.begin_request();
        open[2].activity.set_writing(true);
        open.extend((0..2).map(|_| connections.register()));
        assert_eq!((evicted(&open), evicted(&open[1..3])), (2, 0));

        // If all other connections have a request, a new connection evicts the one that was added before it.
        open.retain(|open| !open.activity.is_evicted());
        let _requests: Vec<_> = open.iter().map(|open| open.activity.begin_request()).collect();
        open.extend((0..3).map(|_| connections.register()));
        assert_eq!((evicted(&open), evicted(&open[..4])), (2, 0));
    }
}
