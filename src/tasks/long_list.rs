//! The streaming of long lists: tasks are sent to the client while further tasks are read. The memory for a response
//! does not depend on the length of the list.

use std::error::Error;
use std::time::{Duration, Instant};

use actix_web::rt::task::JoinHandle;
use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use super::response::{tag_of, write_elements};
use crate::domain::{ListQuery, Task, UserId};
use crate::http::error::ApiError;
use crate::http::response_body::next_chunk;
use crate::quota::QuotaPermit;
use crate::store::{OwnedTasks, StoreError};
use crate::telemetry::RequestContext;

/// The maximum duration of a response. Until the response ends, the database keeps a snapshot for it, and cannot remove
/// the old versions of rows that are deleted or updated meanwhile.
const MAX_DURATION: Duration = Duration::from_secs(5 * 60);

struct LongList {
    parts: mpsc::Receiver<Vec<u8>>,
    /// The result of the reading, or `None` after the end of the array.
    reading: Option<JoinHandle<Result<(), StoreError>>>,
    /// JSON that has not been passed to actix yet.
    buffered: Bytes,
    deadline: Instant,
    _permit: QuotaPermit,
}

/// Starts to read the list, and returns its tag and its JSON when the tag and the first tasks are known. Dropping the
/// JSON stops the reading.
///
/// The JSON ends with an error if the list cannot be read completely after the status has been sent. The connection is
/// then closed before the end of the array, which shows the client that the list is incomplete.
pub async fn begin(
    tasks: OwnedTasks,
    query: ListQuery,
) -> Result<(String, impl Stream<Item = Result<Bytes, Box<dyn Error>>>), ApiError> {
    let permit = tasks.long_list_permit().await?;
    let (sender, mut parts) = mpsc::channel(1);
    let reading = RequestContext::spawn(async move { tasks.read_long_list(query, render, sender).await });
    let (Some(fingerprint), Some(json)) = (parts.recv().await, parts.recv().await) else {
        let outcome = reading.await.map_err(|_| ApiError::Panicked)?;
        return Err(outcome.err().unwrap_or(StoreError::Panicked).into());
    };
    let list = LongList {
        parts,
        reading: Some(reading),
        buffered: json.into(),
        deadline: Instant::now() + MAX_DURATION,
        _permit: permit,
    };
    let json = stream::try_unfold(list, async |mut list| match list.next().await {
        Ok(chunk) => Ok(chunk.map(|chunk| (chunk, list))),
        Err(error) => {
            log::warn!("a long list was interrupted: {error}");
            Err(error)
        }
    });
    Ok((tag_of(&fingerprint), json))
}

/// The JSON of a batch of tasks. The first batch begins with the opening bracket of the array.
fn render(owner: &UserId, tasks: &[Task], is_first: bool) -> Vec<u8> {
    let mut json = Vec::with_capacity(tasks.len() * 512);
    if is_first {
        json.push(b'[');
    }
    write_elements(&mut json, owner, tasks, is_first);
    json
}

impl LongList {
    /// Returns the next chunk, or `None` after the end of the array.
    async fn next(&mut self) -> Result<Option<Bytes>, Box<dyn Error>> {
        while self.buffered.is_empty() {
            let Some(reading) = &mut self.reading else {
                return Ok(None);
            };
            if Instant::now() > self.deadline {
                return Err("the client reads too slowly".into());
            }
            self.buffered = match self.parts.recv().await {
                Some(json) => json.into(),
                None => {
                    reading.await??;
                    self.reading = None;
                    Bytes::from_static(b"]")
                }
            };
        }
        Ok(Some(next_chunk(&mut self.buffered)))
    }
}
