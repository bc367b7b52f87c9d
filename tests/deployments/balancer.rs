//! A load balancer that does no more than the least of them: it sends each request to any replica that
//! takes part, over a connection that it keeps or over a new one, and hands the answer on.
//!
//! What it assumes of a rolling restart is what orchestrators and balancers agree upon. A replica takes
//! part once its `/readyz` is 200. It is taken out before it is told to stop, and told to at once: what
//! was sent to it is under way then, and it has to answer. Nothing is ever sent twice, to this replica or
//! to another: a request that gets no answer has failed, even one that another balancer would repeat.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use crate::support::raw::Connection;
use crate::support::{Response, TestApp, random};

#[derive(Default)]
pub struct Balancer {
    taking_part: RwLock<Vec<Arc<Replica>>>,
}

pub struct Replica {
    address: String,
    sent: AtomicUsize,
    answered: AtomicUsize,
}

/// One client's connections, each to another replica.
pub type Kept = HashMap<String, Connection>;

impl Balancer {
    pub fn add(&self, app: &TestApp) -> Arc<Replica> {
        app.anonymous().get("/readyz").expect(200);
        let replica = Arc::new(Replica {
            address: app.base_url().trim_start_matches("http://").to_owned(),
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        });
        self.taking_part.write().unwrap().push(Arc::clone(&replica));
        replica
    }

    /// Nothing is on its way to it when this returns: what was sent has been handed over whole.
    pub fn take_out(&self, replica: &Arc<Replica>) {
        let mut taking_part = self.taking_part.write().unwrap();
        taking_part.retain(|other| !Arc::ptr_eq(other, replica));
    }

    /// The answer, if there is one.
    pub fn send(&self, kept: &mut Kept, request: &[u8]) -> Option<Response> {
        let number = random::number() as usize;
        let taking_part = self.taking_part.read().unwrap();
        let replica = Arc::clone(&taking_part[number % taking_part.len()]);
        // Every fourth goes over a connection that nobody has accepted yet.
        let old = kept
            .remove(&replica.address)
            .filter(|_| !number.is_multiple_of(4));
        let mut connection = old.unwrap_or_else(|| Connection::to(&replica.address));
        replica.sent.fetch_add(1, Ordering::SeqCst);
        connection.send(request);
        drop(taking_part);

        let answer = connection.read()?;
        replica.answered.fetch_add(1, Ordering::SeqCst);
        if answer.header("connection") != Some("close") {
            kept.insert(replica.address.clone(), connection);
        }
        Some(answer)
    }
}

impl Replica {
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Sent, and not answered so far.
    pub fn under_way(&self) -> usize {
        self.sent.load(Ordering::SeqCst) - self.answered()
    }
}
