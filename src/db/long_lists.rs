//! How many long lists may be read at a time: each has a connection of its own for as long as its client reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::UserId;

/// One user has at most a quarter of the connections for long lists, and all together have half.
pub struct LongLists {
    per_user: usize,
    total: usize,
    running: Mutex<HashMap<UserId, usize>>,
}

/// Held while a long list is read.
pub struct LongListPermit {
    long_lists: Arc<LongLists>,
    user: UserId,
}

impl LongLists {
    pub fn new(connections: usize) -> Arc<Self> {
        Arc::new(Self {
            per_user: (connections / 4).max(1),
            total: (connections / 2).max(1),
            running: Mutex::default(),
        })
    }

    pub fn permit(self: &Arc<Self>, user: &UserId) -> Option<LongListPermit> {
        let mut running = self.running();
        let total: usize = running.values().sum();
        let own = running.get(user).copied().unwrap_or_default();
        if total >= self.total || own >= self.per_user {
            return None;
        }
        running.insert(user.clone(), own + 1);
        Some(LongListPermit {
            long_lists: Arc::clone(self),
            user: user.clone(),
        })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LongListPermit {
    fn drop(&mut self) {
        let mut running = self.long_lists.running();
        if let Some(own) = running.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                running.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_quarter_and_all_have_half() {
        let user = |name| UserId::parse(name).unwrap();
        let long_lists = LongLists::new(8);
        let eve: Vec<_> = (0..3).filter_map(|_| long_lists.permit(&user("eve"))).collect();
        assert_eq!(eve.len(), 2);
        let others: Vec<_> = ["ada", "bob", "cid"]
            .iter()
            .filter_map(|name| long_lists.permit(&user(name)))
            .collect();
        assert_eq!(others.len(), 2);
        drop(eve);
        assert!(long_lists.permit(&user("cid")).is_some());
        drop(others);
        assert!(long_lists.running().is_empty());
    }

    #[test]
    fn few_connections_are_enough_for_one() {
        let long_lists = LongLists::new(2);
        let user = UserId::parse("ada").unwrap();
        let first = long_lists.permit(&user);
        assert!(first.is_some() && long_lists.permit(&user).is_none());
    }
}
