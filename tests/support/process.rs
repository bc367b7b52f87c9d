//! A program that runs as a child process. Its output is captured. The program is stopped when its [`Process`] is
//! dropped.

use std::borrow::BorrowMut;
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::wait;

pub struct Process {
    child: Child,
    output: Arc<Mutex<Output>>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default, Clone)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    /// Takes the command by value or by mutable reference, because the builder methods of `Command` return
    /// `&mut Command`. In both cases the command cannot be used again.
    pub fn spawn(mut command: impl BorrowMut<Command>) -> Self {
        let mut command = mem::replace(command.borrow_mut(), Command::new("false"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn_for_good(command);
        let output = Arc::new(Mutex::new(Output::default()));
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let readers = vec![
            keep(stdout, Arc::clone(&output), |output| &mut output.stdout),
            keep(stderr, Arc::clone(&output), |output| &mut output.stderr),
        ];
        Self {
            child,
            output,
            readers,
        }
    }

    pub fn output(&self) -> Output {
        self.output.lock().unwrap().clone()
    }

    /// Returns the exit status, or `None` while the process runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGKILL, as the kernel does when memory runs out, and waits until the process has ended.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, signal: &str) {
        // An external program sends the signal, because the standard library can only send SIGKILL.
        let _ = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
    }

    /// Waits until the process has ended and all of its output has been read. Returns `None` if the process has
    /// not ended within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = wait::within(limit, || self.ended())?;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        Some(status)
    }
}

/// Runs a program that must succeed and returns its output.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> String {
    let line = format!("{command:?}");
    let mut process = Process::spawn(command);
    let status = process.wait(limit);
    let output = process.output();
    let output = format!("{}{}", output.stdout, output.stderr);
    match status {
        Some(status) if status.success() => output,
        Some(status) => panic!("{line}: {status}\n{output}"),
        None => panic!("{line} did not exit within {limit:?}\n{output}"),
    }
}

/// Spawns the process from a thread that lives as long as the test process. `setpriv --pdeathsig` takes effect when
/// the *thread* that spawned the process ends, and some tests start services from threads that end before the test.
fn spawn_for_good(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    let description = format!("{command:?}");
    SPAWNER
        .send((command, answer))
        .expect("the spawner thread should be running");
    child
        .recv()
        .unwrap()
        .unwrap_or_else(|error| panic!("{description}: {error}"))
}

/// Reads a stream to its end in a thread of its own, and appends each line to `output`.
fn keep(
    stream: impl Read + Send + 'static,
    output: Arc<Mutex<Output>>,
    part: fn(&mut Output) -> &mut String,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
            part(&mut output.lock().unwrap()).push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.terminate();
        if self.wait(Duration::from_secs(5)).is_none() {
            self.kill();
        }
    }
}
