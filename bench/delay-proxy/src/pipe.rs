//! One direction of a connection: the bytes that were received and have not been sent yet, because they are not due or
//! because the receiver does not accept them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// The maximum size of the buffer, which limits the memory if the receiver does not read. Far fewer bytes arrive during
/// the delay.
const MAX_BUFFERED_BYTES: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub struct Pipe {
    chunks: VecDeque<Chunk>,
    buffered_bytes: usize,
    /// Whether receiving is paused, because the buffer is full.
    is_paused: bool,
    /// Whether the sender has closed its half of the connection.
    is_ended: bool,
    /// Whether the end of the stream has been forwarded to the receiver.
    is_finished: bool,
}

struct Chunk {
    due: Instant,
    /// The received bytes. An empty chunk means that the sender has closed its half of the connection.
    bytes: Vec<u8>,
    sent_bytes: usize,
}

impl Pipe {
    /// Receives all available bytes, and returns whether bytes or the end of the stream were received.
    ///
    /// epoll reports events edge-triggered, so the socket must be read until it is empty. A read that does not fill
    /// `buffer` usually shows that the socket is empty. If the sender is closing the connection (`closing`), the socket
    /// is read until the end of the stream, because epoll reports the end only once.
    pub fn receive(
        &mut self,
        mut socket: &TcpStream,
        buffer: &mut [u8],
        closing: bool,
        due: Instant,
    ) -> bool {
        let before = self.chunks.len();
        while !self.is_ended {
            if self.buffered_bytes >= MAX_BUFFERED_BYTES {
                self.is_paused = true;
                break;
            }
            match socket.read(buffer) {
                Ok(length) if length > 0 => {
                    self.push(due, &buffer[..length]);
                    if length < buffer.len() && !closing {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A reset is forwarded as the end of the stream.
                Ok(_) | Err(_) => {
                    self.is_ended = true;
                    self.push(due, &[]);
                }
            }
        }
        self.chunks.len() > before
    }

    fn push(&mut self, due: Instant, bytes: &[u8]) {
        self.buffered_bytes += bytes.len();
        self.chunks.push_back(Chunk {
            due,
            bytes: bytes.to_vec(),
            sent_bytes: 0,
        });
    }

    /// Sends all bytes that are due, or as many as the socket accepts. epoll reports when the socket accepts more.
    pub fn send(&mut self, mut socket: &TcpStream, now: Instant) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut()
            && chunk.due <= now
        {
            if chunk.bytes.is_empty() {
                self.is_finished = true;
                // The error is ignored, because the socket may already be closed.
                let _ = socket.shutdown(Shutdown::Write);
                self.chunks.clear();
                break;
            }
            match socket.write(&chunk.bytes[chunk.sent_bytes..]) {
                Ok(length) => {
                    chunk.sent_bytes += length;
                    self.buffered_bytes -= length;
                    if chunk.sent_bytes == chunk.bytes.len() {
                        self.chunks.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// If receiving is paused and the buffer has room again, ends the pause and returns true.
    pub fn try_resume(&mut self) -> bool {
        let resumes = self.is_paused && self.buffered_bytes < MAX_BUFFERED_BYTES / 2;
        self.is_paused &= !resumes;
        resumes
    }

    pub fn is_finished(&self) -> bool {
        self.is_finished
    }
}
