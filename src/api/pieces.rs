//! The body of a long answer: in pieces, each in memory of its own, and those of all answers within a bound.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use memmap2::MmapMut;

use super::error::ApiError;
use crate::domain::UserId;

/// What the long answers of this process hold.
pub static HELD: LazyLock<Held> = LazyLock::new(|| Held::at_most(256 * 1024 * 1024));

pub struct Held {
    /// Of each user, in bytes.
    shares: Mutex<HashMap<UserId, usize>>,
    most: usize,
}

impl Held {
    fn at_most(most: usize) -> Self {
        Self {
            shares: Mutex::default(),
            most,
        }
    }

    /// None is too long if it is the only one; but clients that ask for many, and read none, must not take
    /// the service's memory. Whatever one user has, half is left to others.
    fn take(&self, owner: &UserId, own: usize, more: usize) -> bool {
        let mut shares = self.shares();
        let all: usize = shares.values().sum();
        let counted = |(user, share): (&UserId, &usize)| match user == owner {
            true => *share,
            false => (*share).min(self.most / 2),
        };
        let counted: usize = shares.iter().map(counted).sum();
        let fits = all == own || counted + more <= self.most;
        if fits {
            *shares.entry(owner.clone()).or_default() += more;
        }
        fits
    }

    fn give_back(&self, owner: &UserId, bytes: usize) {
        let mut shares = self.shares();
        if let Some(share) = shares.get_mut(owner) {
            *share -= bytes;
            if *share == 0 {
                shares.remove(owner);
            }
        }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that goes back to the system the moment that the piece is sent. An allocator keeps what was freed
/// on another thread than it came from: hundreds of megabytes after some long lists.
struct Piece {
    memory: MmapMut,
    owner: UserId,
    held: &'static Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.held.give_back(&self.owner, self.memory.len());
    }
}

/// A body while it grows.
pub struct Growing {
    held: &'static Held,
    pieces: Vec<Bytes>,
    length: usize,
    /// There was no room for it.
    refused: bool,
}

impl Growing {
    pub fn within(held: &'static Held) -> Self {
        Self {
            held,
            pieces: Vec::new(),
            length: 0,
            refused: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn push(&mut self, owner: &UserId, bytes: &[u8]) {
        if self.refused || !self.held.take(owner, self.length, bytes.len()) {
            return self.refuse();
        }
        let Ok(mut memory) = MmapMut::map_anon(bytes.len()) else {
            self.held.give_back(owner, bytes.len());
            return self.refuse();
        };
        memory.copy_from_slice(bytes);
        self.length += bytes.len();
        self.pieces.push(Bytes::from_owner(Piece {
            memory,
            owner: owner.clone(),
            held: self.held,
        }));
    }

    /// Makes room for others at once; whoever fills it need not know.
    fn refuse(&mut self) {
        self.refused = true;
        self.pieces.clear();
    }

    /// The last piece is short, and stays where it is.
    pub fn finish(mut self, last: Vec<u8>) -> Result<Pieces, ApiError> {
        if self.refused {
            return Err(ApiError::NoRoom);
        }
        self.pieces.push(last.into());
        Ok(Pieces::from(self.pieces))
    }
}

/// What the server takes of a body it copies whole, and keeps until the client has read it.
const MOUTHFUL: usize = 32 * 1024;

/// A body in pieces, each of which is let go of when it has been sent.
pub struct Pieces {
    now: Bytes,
    left: std::vec::IntoIter<Bytes>,
    length: u64,
}

impl From<Vec<Bytes>> for Pieces {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self {
            length: pieces.iter().map(|piece| piece.len() as u64).sum(),
            now: Bytes::new(),
            left: pieces.into_iter(),
        }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.now.is_empty() {
            let Some(next) = self.left.next() else {
                return Poll::Ready(None);
            };
            self.now = next;
        }
        let length = self.now.len().min(MOUTHFUL);
        Poll::Ready(Some(Ok(self.now.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> &'static Held {
        Box::leak(Box::new(Held::at_most(200)))
    }

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn fill(held: &'static Held, owner: &UserId, bytes: usize) -> Growing {
        let mut growing = Growing::within(held);
        growing.push(owner, &vec![b'a'; bytes]);
        growing
    }

    #[test]
    fn one_alone_may_be_of_any_length_and_leaves_half_to_others() {
        let (held, eve, ada, bob) = (small(), user("eve"), user("ada"), user("bob"));
        let mut alone = fill(held, &eve, 150);
        alone.push(&eve, &[b'a'; 150]);
        // Hers are all that there may be, and yet half is left to others.
        assert!(matches!(
            fill(held, &eve, 1).finish(vec![]),
            Err(ApiError::NoRoom)
        ));
        let others = [fill(held, &ada, 50), fill(held, &bob, 50)];
        assert!(fill(held, &bob, 1).finish(vec![]).is_err());
        for other in others {
            assert!(other.finish(vec![]).is_ok());
        }
        let body = alone.finish(b"end".to_vec()).unwrap();
        assert_eq!(body.size(), BodySize::Sized(303));
        drop(body);
        assert!(held.shares().is_empty());
    }

    #[test]
    fn one_that_is_refused_on_the_way_makes_room_for_others() {
        let (held, ada, bob) = (small(), user("ada"), user("bob"));
        let _first = fill(held, &ada, 10);
        let mut second = fill(held, &bob, 150);
        second.push(&bob, &[b'b'; 41]);
        assert_eq!(held.shares().values().sum::<usize>(), 10);
        assert!(second.finish(vec![]).is_err());
    }

    #[test]
    fn no_more_than_a_mouthful_goes_to_the_server_at_a_time() {
        let mut body = Pieces::from(vec![vec![b'a'; 100_000].into(), vec![b'b'; 5].into()]);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut lengths = Vec::new();
        while let Poll::Ready(Some(Ok(bytes))) = Pin::new(&mut body).poll_next(&mut context) {
            lengths.push(bytes.len());
        }
        assert_eq!(lengths, [32_768, 32_768, 32_768, 1_696, 5]);
    }
}
