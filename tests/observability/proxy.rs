//! A TCP proxy to PostgreSQL that a test can interrupt and restore.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::own_postgres::free_port;

/// No process listens on the port until `open` is called.
pub struct Proxy {
    pub port: u16,
    target: u16,
    is_open: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn closed(target: u16) -> Self {
        Self {
            port: free_port(),
            target,
            is_open: Arc::default(),
            streams: Arc::default(),
        }
    }

    /// Starts to listen. Call it only once; `restore` ends an interruption.
    pub fn open(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.restore();
        let (target, is_open, streams) = (self.target, Arc::clone(&self.is_open), Arc::clone(&self.streams));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The lock is held until the new streams are registered, so that `interrupt` also closes
                // them.
                let mut streams = streams.lock().unwrap();
                // While interrupted, the proxy accepts connections and closes them at once, so that every
                // connection attempt of the service fails.
                if is_open.load(Ordering::SeqCst)
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", target))
                {
                    let _ = client.set_nodelay(true);
                    let _ = server.set_nodelay(true);
                    let ends = [&client, &server].map(|end| end.try_clone().unwrap());
                    streams.extend(ends);
                    copy(client.try_clone().unwrap(), server.try_clone().unwrap());
                    copy(server, client);
                }
            }
        });
    }

    pub fn interrupt(&self) {
        let mut streams = self.streams.lock().unwrap();
        self.is_open.store(false, Ordering::SeqCst);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn restore(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
