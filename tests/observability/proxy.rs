//! A way to PostgreSQL that a test can take away and give back.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::own_postgres::free_port;

/// A port on which nobody listens, until the way is opened.
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

    /// To be called once; what was cut is given back by `mend`.
    pub fn open(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.mend();
        let (target, is_open, streams) = (self.target, Arc::clone(&self.is_open), Arc::clone(&self.streams));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Held until the way is noted: one that is being opened must not escape a cut.
                let mut streams = streams.lock().unwrap();
                // Accepted and dropped at once: to a client the server is gone all the same.
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

    pub fn cut(&self) {
        let mut streams = self.streams.lock().unwrap();
        self.is_open.store(false, Ordering::SeqCst);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
