//! A body that the server takes in chunks. It copies what it takes, and keeps that until the client has read it:
//! of a long body, a client that reads nothing would hold two copies.

use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

use super::error::ApiError;
use crate::domain::UserId;
use crate::quota::{Quota, Share};

const CHUNK_BYTES: usize = 32 * 1024;

/// Smaller bodies are not counted: what a client costs otherwise is more.
const COUNTED_BYTES: usize = 64 * 1024;

/// What may wait for clients to read it: a user's, and all users' together.
static UNREAD: LazyLock<Arc<Quota>> = LazyLock::new(|| Quota::new(64 * 1024 * 1024, 256 * 1024 * 1024));

pub struct ChunkedBody {
    left: Bytes,
    length: u64,
    _unread: Option<Share>,
}

impl ChunkedBody {
    /// Clients that ask for much and read nothing must not take the service's memory.
    pub fn for_user(owner: &UserId, bytes: Vec<u8>) -> Result<Self, ApiError> {
        let unread = match bytes.len() {
            0..COUNTED_BYTES => None,
            length => Some(UNREAD.take(owner, length).ok_or(ApiError::TooManyLongResponses)?),
        };
        Ok(Self {
            _unread: unread,
            ..Self::from(Bytes::from(bytes))
        })
    }
}

impl From<Bytes> for ChunkedBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            length: bytes.len() as u64,
            left: bytes,
            _unread: None,
        }
    }
}

/// Takes the next chunk off.
pub fn next_chunk(left: &mut Bytes) -> Bytes {
    let rest = left.split_off(left.len().min(CHUNK_BYTES));
    mem::replace(left, rest)
}

impl MessageBody for ChunkedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let chunk = next_chunk(&mut self.left);
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_reads_nothing_gets_no_more_and_others_do() {
        let user = |name| UserId::parse(name).unwrap();
        let eve: Vec<_> = (0..100)
            .map_while(|_| ChunkedBody::for_user(&user("eve"), vec![b'a'; 1024 * 1024]).ok())
            .collect();
        assert_eq!(eve.len(), 64);
        assert!(ChunkedBody::for_user(&user("eve"), vec![b'a'; 1024]).is_ok());
        assert!(ChunkedBody::for_user(&user("ada"), vec![b'a'; 1024 * 1024]).is_ok());
    }

    #[test]
    fn the_server_gets_no_more_than_a_chunk_at_a_time() {
        let mut body = ChunkedBody::from(Bytes::from(vec![b'a'; 70_000]));
        assert_eq!(body.size(), BodySize::Sized(70_000));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut lengths = Vec::new();
        while let Poll::Ready(Some(Ok(chunk))) = Pin::new(&mut body).poll_next(&mut context) {
            lengths.push(chunk.len());
        }
        assert_eq!(lengths, [32_768, 32_768, 4_464]);
    }
}
