//! One direction of a connection: what has arrived and is not due yet, or is not taken yet.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// A receiver that takes nothing fills no memory beyond this. It is far more than a delay's worth of bytes.
const MOST: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub struct Pipe {
    chunks: VecDeque<Chunk>,
    held: usize,
    /// There was more to receive, but no room for it.
    paused: bool,
    /// Nothing more will be received, or was passed on.
    ended: bool,
    finished: bool,
}

struct Chunk {
    due: Instant,
    /// Empty: the sender has closed its half of the connection.
    bytes: Vec<u8>,
    sent: usize,
}

impl Pipe {
    /// Takes what the socket has, and says whether that is anything.
    ///
    /// The socket is watched by edges, so it must be read until it has no more. A read that does not fill
    /// the buffer proves that, unless the end has come (`closing`), which is told only once.
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
                // A reset is passed on as an end.
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

    /// Until nothing is due, or the socket takes no more: then it tells when it does.
    pub fn send(&mut self, mut socket: &TcpStream, now: Instant) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut()
            && chunk.due <= now
        {
            if chunk.bytes.is_empty() {
                self.finished = true;
                // It may be closed already.
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

    /// Whether receiving was paused for want of room that is there now; it is asked once.
    pub fn may_receive_again(&mut self) -> bool {
        let again = self.paused && self.held < MOST / 2;
        self.paused &= !again;
        again
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }
}
