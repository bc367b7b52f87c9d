//! Limits how much of a resource each user, and all users together, may use at the same time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::UserId;

pub struct Quota {
    per_user: usize,
    total: usize,
    used: Mutex<HashMap<UserId, usize>>,
    returned: Notify,
}

/// The permission to use an amount of the resource. Dropping the permit returns the amount to the quota.
pub struct QuotaPermit {
    quota: Arc<Quota>,
    user: UserId,
    amount: usize,
}

impl Quota {
    pub fn new(per_user: usize, total: usize) -> Arc<Self> {
        Arc::new(Self {
            per_user,
            total,
            used: Mutex::default(),
            returned: Notify::new(),
        })
    }

    /// Creates the quota for calls that use a connection for a long time. Each user may use a quarter of the
    /// connections, and all users together half of them.
    pub fn for_connections(count: usize) -> Arc<Self> {
        Self::new((count / 4).max(1), (count / 2).max(1))
    }

    pub fn try_acquire(self: &Arc<Self>, user: &UserId, amount: usize) -> Option<QuotaPermit> {
        let mut used = self.used.lock();
        let total: usize = used.values().sum();
        let own = used.get(user).copied().unwrap_or_default();
        if total + amount > self.total || own + amount > self.per_user {
            return None;
        }
        used.insert(user.clone(), own + amount);
        Some(QuotaPermit {
            quota: Arc::clone(self),
            user: user.clone(),
            amount,
        })
    }

    /// Waits until enough of the resource is available. Returns `None` after the timeout.
    pub async fn acquire(
        self: &Arc<Self>,
        timeout: Duration,
        user: &UserId,
        amount: usize,
    ) -> Option<QuotaPermit> {
        let share = async {
            loop {
                let returned = self.returned.notified();
                if let Some(share) = self.try_acquire(user, amount) {
                    return share;
                }
                returned.await;
            }
        };
        tokio::time::timeout(timeout, share).await.ok()
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        let mut used = self.quota.used.lock();
        if let Some(own) = used.get_mut(&self.user) {
            *own -= self.amount;
            if *own == 0 {
                used.remove(&self.user);
            }
        }
        drop(used);
        self.quota.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[test]
    fn neither_a_user_nor_all_users_together_exceed_their_limit() {
        let quota = Quota::new(2, 4);
        let permits =
            ["eve", "eve", "eve", "ada", "bob", "cid"].map(|name| quota.try_acquire(&user(name), 1));
        assert_eq!(
            permits.each_ref().map(Option::is_some),
            [true, true, false, true, true, false]
        );
        drop(permits);
        assert!(quota.used.lock().is_empty());
        assert!(quota.try_acquire(&user("cid"), 3).is_none());
    }

    #[actix_web::test]
    async fn a_waiting_user_gets_a_permit_when_another_user_returns_one() {
        let quota = Quota::new(1, 1);
        let first = quota.try_acquire(&user("ada"), 1).unwrap();
        let bob = user("bob");
        assert!(quota.acquire(Duration::from_millis(20), &bob, 1).await.is_none());
        let waiting = quota.acquire(Duration::from_secs(10), &bob, 1);
        let returned = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        assert!(futures_util::future::join(waiting, returned).await.0.is_some());
    }
}
