//! A minimal load balancer. It sends each request to a random active replica, over a new or a reused connection, and
//! returns the response.
//!
//! In a rolling restart, a replica becomes active when its `/readyz` returns 200, and it is removed from the balancer
//! just before it is told to stop. Requests may then still be in flight, and the replica must answer them. A request
//! without a response counts as failed. The balancer never repeats a request, although other load balancers might.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use crate::support::raw::Connection;
use crate::support::{Response, TestApp, random};

#[derive(Default)]
pub struct Balancer {
    active: RwLock<Vec<Arc<Replica>>>,
}

pub struct Replica {
    address: String,
    sent: AtomicUsize,
    answered: AtomicUsize,
}

/// The idle connections of one client. Each key is the address of a replica.
pub type IdleConnections = HashMap<String, Connection>;

impl Balancer {
    pub fn add(&self, app: &TestApp) -> Arc<Replica> {
        app.anonymous().get("/readyz").expect(200);
        let replica = Arc::new(Replica {
            address: app.base_url().trim_start_matches("http://").to_owned(),
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        });
        self.active.write().unwrap().push(Arc::clone(&replica));
        replica
    }

    /// Removes a replica. When `remove` returns, all requests to the replica have been sent completely.
    pub fn remove(&self, replica: &Arc<Replica>) {
        let mut active = self.active.write().unwrap();
        active.retain(|other| !Arc::ptr_eq(other, replica));
    }

    /// Sends a request and returns the response, or `None` if no complete response arrives.
    pub fn send(&self, idle: &mut IdleConnections, request: &[u8]) -> Option<Response> {
        let number = random::number() as usize;
        let active = self.active.read().unwrap();
        let replica = Arc::clone(&active[number % active.len()]);
        // About one request in four uses a new connection, so that the test also includes connections that a replica
        // has not accepted yet when it is told to stop.
        let reused = idle
            .remove(&replica.address)
            .filter(|_| !number.is_multiple_of(4));
        let mut connection = reused.unwrap_or_else(|| Connection::to(&replica.address));
        replica.sent.fetch_add(1, Ordering::SeqCst);
        connection.send(request);
        drop(active);

        let answer = connection.read()?;
        replica.answered.fetch_add(1, Ordering::SeqCst);
        if answer.header("connection") != Some("close") {
            idle.insert(replica.address.clone(), connection);
        }
        Some(answer)
    }
}

impl Replica {
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Returns the number of requests that have been sent but not answered yet.
    pub fn in_flight(&self) -> usize {
        self.sent.load(Ordering::SeqCst) - self.answered()
    }
}
