//! The open client connections, and which of them are closed when there are too many: clients that connect
//! and say nothing must not keep others from being served.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

/// How often the log says that the limit is reached.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Over all worker threads.
static AWAITING_FIRST_REQUEST: AtomicUsize = AtomicUsize::new(0);

/// How many open connections have not had a request yet.
pub fn awaiting_first_request() -> usize {
    AWAITING_FIRST_REQUEST.load(Ordering::Relaxed)
}

/// The open connections of one worker thread.
#[derive(Clone)]
pub struct Connections(Rc<Worker>);

struct Worker {
    limit: usize,
    open: RefCell<Slab<Rc<Activity>>>,
    /// How many of `open` have been told to close.
    evicted: Cell<usize>,
    /// Where the last search for an idle connection ended.
    hand: Cell<usize>,
}

/// What one connection is doing.
#[derive(Default)]
pub struct Activity {
    in_flight: Cell<usize>,
    had_request: Cell<bool>,
    closes_after_response: Cell<bool>,
    /// A part of a response has not reached the socket yet.
    writing: Cell<bool>,
    /// It has had a request since the last search came past it.
    recently_used: Cell<bool>,
    evicted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// An open connection's entry; dropped with the connection.
pub struct Registration {
    worker: Rc<Worker>,
    key: usize,
    pub activity: Rc<Activity>,
}

impl Connections {
    pub fn new(limit: usize) -> Self {
        Self(Rc::new(Worker {
            limit,
            open: RefCell::default(),
            evicted: Cell::new(0),
            hand: Cell::new(0),
        }))
    }

    /// Adds a connection, and closes an idle one where there are too many.
    pub fn register(&self) -> Registration {
        let activity = Rc::new(Activity::default());
        activity.recently_used.set(true);
        AWAITING_FIRST_REQUEST.fetch_add(1, Ordering::Relaxed);
        let worker = Rc::clone(&self.0);
        // Before the new one is among them: it has no request yet, and would be the first to go.
        if worker.open.borrow().len() - worker.evicted.get() >= worker.limit {
            worker.evict_one();
        }
        let key = worker.open.borrow_mut().insert(Rc::clone(&activity));
        Registration {
            worker,
            key,
            activity,
        }
    }
}

impl Worker {
    /// The CLOCK algorithm: it approximates "least recently used", and no request has to reorder a list
    /// for it. Twice around, for the first time only takes away `recently_used`. Where every connection
    /// has a request in flight, none is closed, and new ones soon have to wait.
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
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock();
    if last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
        *last = Some(Instant::now());
        log::warn!(
            "more than {limit} client connections on one worker thread: idle ones are closed; raise the limit \
             of open files (ulimit -n, LimitNOFILE=) if these are real clients"
        );
    }
}

impl Activity {
    pub fn request_began(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.recently_used.set(true);
        if !self.had_request.replace(true) {
            AWAITING_FIRST_REQUEST.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn request_ended(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }

    pub fn has_request(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// The connection ends after the response that is being made.
    pub fn close_after_response(&self) {
        self.closes_after_response.set(true);
    }

    /// The last response has been made, and only the rest of an unwanted request is still being read.
    pub fn is_closing(&self) -> bool {
        self.closes_after_response.get() && !self.has_request()
    }

    pub fn set_writing(&self, writing: bool) {
        self.writing.set(writing);
    }

    pub fn is_evicted(&self) -> bool {
        self.evicted.get()
    }

    /// Has the connection's task look at `is_evicted` again once that changes.
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
        self.worker.open.borrow_mut().remove(self.key);
        if !self.activity.had_request.get() {
            AWAITING_FIRST_REQUEST.fetch_sub(1, Ordering::Relaxed);
        }
        if self.activity.is_evicted() {
            self.worker.evicted.set(self.worker.evicted.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(open: &[Registration]) -> Vec<usize> {
        let evicted = open.iter().enumerate();
        evicted
            .filter(|(_, open)| open.activity.is_evicted())
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn a_new_connection_closes_an_idle_one_and_none_with_a_request() {
        let connections = Connections::new(4);
        let mut open: Vec<_> = (0..4).map(|_| connections.register()).collect();
        assert!(evicted(&open).is_empty());
        open[1].activity.request_began();
        open[2].activity.set_writing(true);
        open.push(connections.register());
        open.push(connections.register());
        let gone = evicted(&open);
        assert_eq!(gone.len(), 2);
        assert!(!gone.contains(&1) && !gone.contains(&2), "{gone:?}");
    }

    #[test]
    fn where_every_connection_has_a_request_none_is_closed() {
        let connections = Connections::new(2);
        let open: Vec<_> = (0..4)
            .map(|_| {
                let open = connections.register();
                open.activity.request_began();
                open
            })
            .collect();
        assert!(evicted(&open).is_empty());
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let connections = Connections::new(2);
        let mut open: Vec<_> = (0..3).map(|_| connections.register()).collect();
        assert_eq!(evicted(&open).len(), 1);
        open.retain(|open| !open.activity.is_evicted());
        open.pop();
        open.push(connections.register());
        assert!(evicted(&open).is_empty());
    }
}
