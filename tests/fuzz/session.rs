//! One connection over which input after input is sent.

use std::env;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use super::request::Request;
use crate::support::raw::Connection;
use crate::support::{Database, Response, TestApp};

/// Over all tests of this folder.
const CASES: u32 = 8_000;

/// Each runs on both databases.
const TESTS: u32 = 5 * 2;

/// Where refused input is what is counted on, a log line each would be what is measured.
pub fn quiet(db: Database) -> TestApp {
    TestApp::builder(db)
        .env("RUST_LOG", "error")
        .env("BETTER_AUTH_JWKS_URL", &issuer())
        .start()
}

/// An issuer whose one key signs nothing, so that no token has to wait for one.
fn issuer() -> String {
    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{KEYS}", KEYS.len());
        }
    });
    url
}

/// Tries `check` on so many inputs, and on those that failed once before any other.
pub fn each<T: Debug>(app: &TestApp, inputs: impl Strategy<Value = T>, mut check: impl FnMut(T)) {
    let asked = env::var("FUZZ_CASES").ok();
    let cases: u32 = asked.map_or(CASES, |cases| cases.parse().expect("FUZZ_CASES is a number"));
    let mut runner = TestRunner::new(Config {
        cases: cases.div_ceil(TESTS),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/fuzz.txt",
        ))),
        source_file: Some(file!()),
        max_shrink_time: 30_000,
        ..Config::default()
    });
    let check = std::cell::RefCell::new(&mut check);
    let result = runner.run(&inputs, |input| {
        check.borrow_mut()(input);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let log = app.log();
    // The HTTP parser's own crate calls every request that it cannot read an error.
    let ours = |line: &&str| line.contains("panicked") || line.contains("ERROR todo_backend");
    let failure = log.lines().find(ours);
    assert_eq!(failure, None);
}

pub struct Session<'a> {
    app: &'a TestApp,
    connection: Option<Connection>,
}

impl<'a> Session<'a> {
    pub fn with(app: &'a TestApp) -> Self {
        Self {
            app,
            connection: None,
        }
    }

    /// The answer, which is none of ours to be ashamed of. Unless it says that the connection ends with
    /// it, the next request is answered as well.
    pub fn send(&mut self, request: &Request) -> Response {
        let app = self.app;
        let mut connection = self.connection.take().unwrap_or_else(|| Connection::open(app));
        let answer = match &*request.method {
            "HEAD" => connection.send(request.bytes()).read_head(),
            _ => connection.send(request.bytes()).read(),
        };
        let answer = answer.expect("an answer");
        if request.method == "HEAD" {
            assert!(answer.status < 500, "{answer}");
        } else {
            assert_decent(&answer);
        }
        if answer.header("connection") != Some("close") {
            let next = connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").read();
            assert_eq!(next.expect("the connection goes on").status, 200, "{answer}");
            self.connection = Some(connection);
        }
        answer
    }
}

#[track_caller]
pub fn assert_decent(answer: &Response) {
    assert!(answer.status < 500, "{answer}");
    // What the HTTP parser cannot read, it answers by itself: with a status and nothing else.
    let bare = matches!(answer.status, 400 | 431) && answer.header("x-request-id").is_none();
    if answer.status >= 400 && !(bare && answer.body.is_empty()) {
        answer.assert_problem(answer.status);
    }
}

/// Sends bytes that need not be HTTP and then nothing more: what came back until the service hung up.
pub fn talk(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have hung up by now.
    let _ = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it does not hang up"),
        // A reset: it had not read everything.
        _ => String::from_utf8_lossy(&said).into_owned(),
    }
}
