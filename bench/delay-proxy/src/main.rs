//! A TCP proxy that adds latency.
//!
//! `delay-proxy PORT SERVER-PORT MICROSECONDS` listens on PORT, forwards each connection to SERVER-PORT on the same
//! machine, and delays each byte by MICROSECONDS in each direction. Connections themselves are opened without delay.
//!
//! Received bytes wait in a queue, together with the time at which they are due. Up to 64 MiB per direction of a
//! connection may be in transit, so in practice the proxy does not limit the throughput. One thread serves all
//! connections, because one thread per connection would cause more context switches than the measured programs do. The
//! thread is woken by a timerfd, because epoll's timeout and tokio's timers have a resolution of only one millisecond.

mod pipe;

use std::collections::{HashMap, VecDeque};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use std::{env, io};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};

use pipe::Pipe;

const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const FIRST_CONNECTION: u64 = 2;

struct Proxy {
    epoll: OwnedFd,
    timer: OwnedFd,
    listener: TcpListener,
    server: u16,
    delay: Duration,
    /// Both ends of each connection. The client's end has an even key, and the server's end has the next odd key.
    ends: HashMap<u64, End>,
    next: u64,
    /// The times at which bytes are due, each with the key of the end from which they were received. The entries are
    /// ordered by time, because the delay is constant.
    due: VecDeque<(Instant, u64)>,
    buffer: Vec<u8>,
}

struct End {
    socket: TcpStream,
    /// The bytes that were received from this end.
    pipe: Pipe,
}

fn main() -> io::Result<()> {
    let mut numbers = env::args().skip(1).map(|argument| argument.parse().ok());
    let (Some(Some(port)), Some(Some(server)), Some(Some(delay)), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return Err(io::Error::other(
            "usage: delay-proxy PORT SERVER-PORT MICROSECONDS",
        ));
    };
    let [port, server] = [port, server].map(|number: u64| u16::try_from(number).map_err(io::Error::other));
    Proxy::new(port?, server?, Duration::from_micros(delay))?.run()
}

impl Proxy {
    fn new(port: u16, server: u16, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(
            &epoll,
            &timer,
            EventData::new_u64(TIMER),
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(Self {
            epoll,
            timer,
            listener,
            server,
            delay,
            ends: HashMap::new(),
            next: FIRST_CONNECTION,
            due: VecDeque::new(),
            buffer: vec![0; 256 * 1024],
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    TIMER => {}
                    end => self.on_event(end, event.flags),
                }
            }
            self.forward_due_bytes();
            self.set_timer()?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let client = match self.listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        // A blocking call is acceptable here, because a connection on the same machine is established at once. If the
        // server refuses the connection, the client's connection is closed.
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else {
            return Ok(());
        };
        let number = self.next;
        self.next += 2;
        for (end, socket) in [(number, client), (number + 1, server)] {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(end), flags)?;
            self.ends.insert(
                end,
                End {
                    socket,
                    pipe: Pipe::default(),
                },
            );
        }
        Ok(())
    }

    fn on_event(&mut self, end: u64, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            // The socket accepts bytes again, so those that were received from the other end can be sent.
            self.forward(end ^ 1, Instant::now());
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            self.receive(end, ended);
        }
    }

    fn receive(&mut self, end: u64, ended: bool) {
        let Some(End { socket, pipe }) = self.ends.get_mut(&end) else {
            return;
        };
        let due = Instant::now() + self.delay;
        if pipe.receive(socket, &mut self.buffer, ended, due) {
            self.due.push_back((due, end));
        }
    }

    fn forward_due_bytes(&mut self) {
        while let Some(&(due, end)) = self.due.front() {
            let now = Instant::now();
            if due > now {
                break;
            }
            self.due.pop_front();
            self.forward(end, now);
        }
    }

    /// Sends the bytes that were received from `end` to the other end, if they are due and the socket accepts them.
    fn forward(&mut self, end: u64, now: Instant) {
        let Some(mut from) = self.ends.remove(&end) else {
            return;
        };
        let Some(to) = self.ends.get(&(end ^ 1)) else {
            return;
        };
        let open = from.pipe.send(&to.socket, now).is_ok();
        let finished = from.pipe.is_finished() && to.pipe.is_finished();
        let resumes = from.pipe.try_resume();
        if open && !finished {
            self.ends.insert(end, from);
            if resumes {
                // The end of the stream may have arrived during the pause, and epoll does not report it again.
                self.receive(end, true);
            }
        } else {
            // This closes both sockets, which removes them from epoll.
            self.ends.remove(&(end ^ 1));
        }
    }

    fn set_timer(&self) -> io::Result<()> {
        let Some((due, _)) = self.due.front() else {
            return Ok(());
        };
        // The value must not be zero, which would disarm the timer.
        let left = due
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let value = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: left.as_secs().try_into().map_err(io::Error::other)?,
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }
}
