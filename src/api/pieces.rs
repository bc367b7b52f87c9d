//! The body of a long answer: in pieces, each in memory of its own, and those of all answers within a bound.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use memmap2::MmapMut;

use super::error::ApiError;

/// What the long answers of this process hold.
pub static HELD: Held = Held::at_most(256 * 1024 * 1024);

pub struct Held {
    bytes: AtomicUsize,
    most: usize,
}

impl Held {
    const fn at_most(most: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            most,
        }
    }

    /// None is too long if it is the only one; but clients that ask for many, and read none, must not take
    /// the service's memory, and with it everybody's answers.
    fn take(&self, own: usize, more: usize) -> bool {
        let before = self.bytes.fetch_add(more, Ordering::Relaxed);
        let fits = before == own || before + more <= self.most;
        if !fits {
            self.give_back(more);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Memory that goes back to the system the moment that the piece is sent. An allocator keeps what was freed
/// on another thread than it came from: hundreds of megabytes after some long lists.
struct Piece {
    memory: MmapMut,
    held: &'static Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.held.give_back(self.memory.len());
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

    pub fn push(&mut self, bytes: &[u8]) {
        if self.refused || !self.held.take(self.length, bytes.len()) {
            return self.refuse();
        }
        let Ok(mut memory) = MmapMut::map_anon(bytes.len()) else {
            self.held.give_back(bytes.len());
            return self.refuse();
        };
        memory.copy_from_slice(bytes);
        self.length += bytes.len();
        let held = self.held;
        self.pieces.push(Bytes::from_owner(Piece { memory, held }));
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
        let length = (self.length + last.len()) as u64;
        self.pieces.push(last.into());
        Ok(Pieces {
            left: self.pieces.into_iter(),
            length,
        })
    }
}

/// A body in pieces, each of which is let go of when it has been sent.
pub struct Pieces {
    left: std::vec::IntoIter<Bytes>,
    length: u64,
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.left.next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SMALL: Held = Held::at_most(100);

    #[test]
    fn one_alone_may_be_of_any_length_and_several_share_what_there_is() {
        let mut alone = Growing::within(&SMALL);
        for _ in 0..5 {
            alone.push(&[b'a'; 40]);
        }
        let mut second = Growing::within(&SMALL);
        second.push(&[b'b'; 40]);
        assert!(matches!(second.finish(vec![]), Err(ApiError::NoRoom)));

        let body = alone.finish(b"end".to_vec()).unwrap();
        assert_eq!(body.size(), BodySize::Sized(203));
        drop(body);
        let mut third = Growing::within(&SMALL);
        let mut fourth = Growing::within(&SMALL);
        third.push(&[b'c'; 60]);
        fourth.push(&[b'd'; 40]);
        // One byte too many, and all that it had is there for others.
        fourth.push(&[b'd'; 1]);
        third.push(&[b'c'; 40]);
        assert!(third.finish(vec![]).is_ok() && fourth.finish(vec![]).is_err());
        assert_eq!(SMALL.bytes.load(Ordering::Relaxed), 0);
    }
}
