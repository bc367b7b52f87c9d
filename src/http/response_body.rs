//! A response body that is passed to actix in chunks. actix copies the bytes that it gets, and keeps the copy until it
//! is sent. If a long body were passed in one piece, a client that does not read would occupy memory for two copies.

use std::convert::Infallible;
use std::iter;
use std::sync::{Arc, LazyLock};

use actix_web::body::{MessageBody, SizedStream};
use actix_web::web::Bytes;
use futures_util::stream;

use super::error::ApiError;
use crate::domain::UserId;
use crate::quota::{Quota, QuotaPermit};

const CHUNK_BYTES: usize = 32 * 1024;

/// Smaller bodies do not count against the quota, because the number of connections limits their total size.
const MIN_QUOTA_BYTES: usize = 64 * 1024;

const MAX_BYTES_PER_USER: usize = 64 * 1024 * 1024;
const MAX_BYTES_TOTAL: usize = 256 * 1024 * 1024;

/// Limits the total size of the response bodies that have not been sent completely.
static UNREAD_BYTES: LazyLock<Arc<Quota>> = LazyLock::new(|| Quota::new(MAX_BYTES_PER_USER, MAX_BYTES_TOTAL));

/// Creates a body that counts against the user's quota until it has been sent. Fails if the quota is used up, so that
/// clients that do not read cannot exhaust the service's memory.
pub fn body_for_user(owner: &UserId, bytes: Vec<u8>) -> Result<impl MessageBody + use<>, ApiError> {
    let permit = match bytes.len() {
        0..MIN_QUOTA_BYTES => None,
        length => Some(
            UNREAD_BYTES
                .try_acquire(owner, length)
                .ok_or(ApiError::TooManyLongResponses)?,
        ),
    };
    Ok(chunked_body(bytes.into(), permit))
}

/// Dropping the body returns the permit to the quota.
pub fn chunked_body(mut remaining: Bytes, permit: Option<QuotaPermit>) -> impl MessageBody {
    let length = remaining.len() as u64;
    let chunks = iter::from_fn(move || {
        let _permit = &permit;
        let chunk = next_chunk(&mut remaining);
        (!chunk.is_empty()).then_some(Ok::<_, Infallible>(chunk))
    });
    SizedStream::new(length, stream::iter(chunks))
}

/// Removes and returns the next chunk.
pub fn next_chunk(remaining: &mut Bytes) -> Bytes {
    remaining.split_to(remaining.len().min(CHUNK_BYTES))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll};

    use super::*;

    #[test]
    fn a_user_who_does_not_read_reaches_the_quota_and_others_do_not() {
        let body = |user, bytes| body_for_user(&UserId::parse(user).unwrap(), vec![b'a'; bytes]).ok();
        let unread: Vec<_> = (0..100).map_while(|_| body("eve", 1024 * 1024)).collect();
        assert_eq!(unread.len(), 64);
        assert!(body("eve", 1024).is_some());
        assert!(body("ada", 1024 * 1024).is_some());
    }

    #[test]
    fn the_server_gets_one_chunk_at_a_time() {
        let mut body = pin!(chunked_body(vec![b'a'; 70_000].into(), None));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut lengths = Vec::new();
        while let Poll::Ready(Some(Ok(chunk))) = body.as_mut().poll_next(&mut context) {
            lengths.push(chunk.len());
        }
        assert_eq!(lengths, [32_768, 32_768, 4_464]);
    }
}
