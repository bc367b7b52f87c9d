//! A list of many tasks: written while it is read, in constant memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::JoinHandle;
use actix_web::web::Bytes;
use tokio::sync::mpsc;

use super::response::{ListTag, write_elements};
use crate::domain::{Listing, Task, UserId};
use crate::http::error::ApiError;
use crate::http::response_body::next_chunk;
use crate::quota::Share;
use crate::store::{OwnedTasks, Portion, StoreError};
use crate::telemetry::RequestContext;

/// How long an answer may take in all. The database keeps a snapshot meanwhile, and can clean up nothing that
/// is newer.
const LONGEST_ANSWER: Duration = Duration::from_secs(5 * 60);

pub struct LongList {
    pub tag: String,
    pub body: LongListBody,
}

pub struct LongListBody {
    portions: mpsc::Receiver<Portion>,
    reading: JoinHandle<Result<(), StoreError>>,
    owner: UserId,
    /// What has been written and not yet been taken.
    written: Bytes,
    is_first: bool,
    is_complete: bool,
    deadline: Instant,
    _permit: Share,
}

/// Begins to read: the tag is known when this returns.
pub async fn begin(tasks: OwnedTasks, listing: Listing) -> Result<LongList, ApiError> {
    let permit = tasks.long_list_permit().await?;
    let owner = tasks.owner().clone();
    let (sender, mut portions) = mpsc::channel(1);
    let reading = RequestContext::spawn(async move { tasks.read_long_list(listing, sender).await });
    let mut tag = ListTag::default();
    let first = loop {
        match portions.recv().await {
            Some(Portion::Versions(versions)) => tag.add(versions),
            Some(Portion::Tasks(first)) => break first,
            None => {
                let outcome = reading.await.map_err(|_| ApiError::Panicked)?;
                return Err(outcome.err().unwrap_or(StoreError::Panicked).into());
            }
        }
    };
    let mut body = LongListBody {
        portions,
        reading,
        owner,
        written: Bytes::new(),
        is_first: true,
        is_complete: false,
        deadline: Instant::now() + LONGEST_ANSWER,
        _permit: permit,
    };
    body.write(&first);
    Ok(LongList {
        tag: tag.finish(),
        body,
    })
}

impl LongListBody {
    /// For `HEAD`. Reading ends, because nobody takes what is read.
    pub fn without_content(mut self) -> Self {
        self.portions.close();
        self.written = Bytes::new();
        self.is_complete = true;
        self
    }

    fn write(&mut self, tasks: &[Task]) {
        let mut json = Vec::with_capacity(tasks.len() * 512);
        if self.is_first {
            json.push(b'[');
        }
        write_elements(&mut json, &self.owner, tasks, self.is_first);
        self.is_first = false;
        self.written = json.into();
    }

    /// Ready when something was written, or when all was.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Interrupted>> {
        match ready!(self.portions.poll_recv(context)) {
            Some(Portion::Tasks(tasks)) => self.write(&tasks),
            Some(Portion::Versions(_)) => {}
            None => match ready!(Pin::new(&mut self.reading).poll(context)) {
                Ok(Ok(())) => {
                    self.written = Bytes::from_static(b"]");
                    self.is_complete = true;
                }
                Ok(Err(error)) => return Poll::Ready(Err(Interrupted(error.to_string()))),
                Err(error) => return Poll::Ready(Err(Interrupted(error.to_string()))),
            },
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer has begun, so that its status can say nothing any more: the connection is closed before the
/// array is.
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
        while self.written.is_empty() {
            if self.is_complete {
                return Poll::Ready(None);
            }
            let outcome = match Instant::now() > self.deadline {
                true => Err(Interrupted("the client reads too slowly".into())),
                false => ready!(self.poll_write(context)),
            };
            if let Err(interrupted) = outcome {
                log::warn!("{interrupted}");
                return Poll::Ready(Some(Err(interrupted)));
            }
        }
        Poll::Ready(Some(Ok(next_chunk(&mut self.written))))
    }
}
