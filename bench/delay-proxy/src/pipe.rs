//! One direction of a connection: bytes that were received and are not yet due, or not yet accepted by the receiver.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// Limits the memory for a receiver that does not read. It is far more than arrives during the delay.
const MOST: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub struct Pipe {
    chunks: VecDeque<Chunk>,
    held: usize,
    /// Receiving is paused, because the buffer is full.
    paused: bool,
    /// The sender has closed its half of the connection, or this has been forwarded.
    ended: bool,
    finished: bool,
}

struct Chunk {
    due: Instant,
    /// Empty if the sender has closed its half of the connection.
    bytes: Vec<u8>,
    sent: usize,
}

impl Pipe {
    /// Receives what is available, and returns whether anything was received.
    ///
    /// Notifications are edge-triggered, so the socket must be read until it is empty. A read that does not fill the
    /// buffer proves that, except at the end of the stream (`closing`), which is reported only once.
    pub fn receive(
        &mut self,
        mut socket: &TcpStream,
        buffer: &mut [u8],
        closing: bool,
        due: Instant,
    ) -> bool {
        let before = self.chunks.len();
        while !self.ended {
            if self.held >= MOST {
                self.paused = true;
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
                    self.ended = true;
                    self.push(due, &[]);
                }
            }
        }
        self.chunks.len() > before
    }

    fn push(&mut self, due: Instant, bytes: &[u8]) {
        self.held += bytes.len();
        self.chunks.push_back(Chunk {
            due,
            bytes: bytes.to_vec(),
            sent: 0,
        });
    }

    /// Sends until nothing is due or the socket accepts no more; epoll reports when it does again.
    pub fn send(&mut self, mut socket: &TcpStream, now: Instant) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut()
            && chunk.due <= now
        {
            if chunk.bytes.is_empty() {
                self.finished = true;
                // The socket may already be closed.
                let _ = socket.shutdown(Shutdown::Write);
                self.chunks.clear();
                break;
            }
            match socket.write(&chunk.bytes[chunk.sent..]) {
                Ok(length) => {
                    chunk.sent += length;
                    self.held -= length;
                    if chunk.sent == chunk.bytes.len() {
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

    /// Whether receiving was paused and there is room again. Resets the pause.
    pub fn may_receive_again(&mut self) -> bool {
        let again = self.paused && self.held < MOST / 2;
        self.paused &= !again;
        again
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }
}
