//! The streaming of long lists: tasks are sent to the client while further tasks are read. The memory for a response
//! does not depend on the length of the list.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::JoinHandle;
use actix_web::web::Bytes;
use tokio::sync::mpsc;

use super::response::{tag_of, write_elements};
use crate::domain::{ListQuery, Task, UserId};
use crate::http::error::ApiError;
use crate::http::response_body::next_chunk;
use crate::quota::QuotaPermit;
use crate::store::{LongListPart, OwnedTasks, StoreError};
use crate::telemetry::RequestContext;

/// The maximum duration of a response. Until the response ends, the database keeps a snapshot for it, and cannot remove
/// the old versions of rows that are deleted or updated meanwhile.
const MAX_DURATION: Duration = Duration::from_secs(5 * 60);

pub struct LongList {
    pub tag: String,
    pub body: LongListBody,
}

pub struct LongListBody {
    parts: mpsc::Receiver<LongListPart>,
    reading: JoinHandle<Result<(), StoreError>>,
    /// JSON that has not been passed to actix yet.
    buffered: Bytes,
    is_complete: bool,
    deadline: Instant,
    _permit: QuotaPermit,
}

/// Starts to read the list, and returns when its tag and its first tasks are known.
pub async fn begin(tasks: OwnedTasks, query: ListQuery) -> Result<LongList, ApiError> {
    let permit = tasks.long_list_permit().await?;
    let (sender, mut parts) = mpsc::channel(1);
    let reading = RequestContext::spawn(async move { tasks.read_long_list(query, render, sender).await });
    let first = (parts.recv().await, parts.recv().await);
    let (Some(LongListPart::Fingerprint(fingerprint)), Some(LongListPart::Json(json))) = first else {
        let outcome = reading.await.map_err(|_| ApiError::Panicked)?;
        return Err(outcome.err().unwrap_or(StoreError::Panicked).into());
    };
    let body = LongListBody {
        parts,
        reading,
        buffered: json.into(),
        is_complete: false,
        deadline: Instant::now() + MAX_DURATION,
        _permit: permit,
    };
    Ok(LongList {
        tag: tag_of(fingerprint.as_bytes()),
        body,
    })
}

/// The JSON of a batch of tasks. That of the first batch begins with the opening bracket of the array.
fn render(owner: &UserId, tasks: &[Task], is_first: bool) -> Vec<u8> {
    let mut json = Vec::with_capacity(tasks.len() * 512);
    if is_first {
        json.push(b'[');
    }
    write_elements(&mut json, owner, tasks, is_first);
    json
}

impl LongListBody {
    /// Removes the content, for `HEAD`. Closing the channel ends the task that reads the list.
    pub fn without_content(mut self) -> Self {
        self.parts.close();
        self.buffered = Bytes::new();
        self.is_complete = true;
        self
    }

    /// Receives the next part of the list. Ready when the buffer has the JSON of this part, or the end of the array.
    fn poll_tasks(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Interrupted>> {
        match ready!(self.parts.poll_recv(context)) {
            Some(LongListPart::Json(json)) => self.buffered = json.into(),
            Some(LongListPart::Fingerprint(_)) => {}
            None => match ready!(Pin::new(&mut self.reading).poll(context)) {
                Ok(Ok(())) => {
                    self.buffered = Bytes::from_static(b"]");
                    self.is_complete = true;
                }
                Ok(Err(error)) => return Poll::Ready(Err(Interrupted(error.to_string()))),
                Err(error) => return Poll::Ready(Err(Interrupted(error.to_string()))),
            },
        }
        Poll::Ready(Ok(()))
    }
}

/// An error that occurs after the status has been sent. The connection is closed before the end of the JSON array, which
/// shows the client that the list is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("a long list was interrupted: {0}")]
pub struct Interrupted(String);

impl MessageBody for LongListBody {
    type Error = Interrupted;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Interrupted>>> {
        while self.buffered.is_empty() {
            if self.is_complete {
                return Poll::Ready(None);
            }
            let outcome = match Instant::now() > self.deadline {
                true => Err(Interrupted("the client reads too slowly".into())),
                false => ready!(self.poll_tasks(context)),
            };
            if let Err(interrupted) = outcome {
                log::warn!("{interrupted}");
                return Poll::Ready(Some(Err(interrupted)));
            }
        }
        Poll::Ready(Some(Ok(next_chunk(&mut self.buffered))))
    }
}
