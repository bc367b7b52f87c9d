//! The parts that these tests share: the start of the service, the generation of cases, and the connection
//! over which one case after the other is sent.

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

/// The number of cases of all tests in this folder together, unless `FUZZ_CASES` is set.
const CASES: u32 = 8_000;

/// The number of tests in this folder: five, each on both databases.
const TESTS: u32 = 5 * 2;

/// Starts a service that fetches its key set from [`issuer`]. The service logs only errors, because logging each
/// refused request would dominate the run time.
pub fn start(db: Database) -> TestApp {
    TestApp::builder(db)
        .env("RUST_LOG", "error")
        .env("BETTER_AUTH_JWKS_URL", &issuer())
        .start()
}

/// Starts an issuer whose key set has one key, which signs no token of these tests. Without a key set, the response to
/// a token with an asymmetric algorithm would be 503.
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

/// Runs `check` for generated inputs, after those that failed in earlier runs.
pub fn run_cases<T: Debug>(app: &TestApp, inputs: impl Strategy<Value = T>, mut check: impl FnMut(T)) {
    let asked = env::var("FUZZ_CASES").ok();
    let cases: u32 = asked.map_or(CASES, |cases| {
        cases.parse().expect("FUZZ_CASES should be a number")
    });
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
    // Errors of other crates are ignored: the HTTP parser's crate logs every malformed request as an error.
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

    /// Sends a request and checks the response. Unless the response closes the connection, checks that the
    /// next request is answered as well.
    pub fn send(&mut self, request: &Request) -> Response {
        let app = self.app;
        let mut connection = self.connection.take().unwrap_or_else(|| Connection::open(app));
        let answer = match &*request.method {
            "HEAD" => connection.send(request.bytes()).read_head(),
            _ => connection.send(request.bytes()).read(),
        };
        let answer = answer.expect("the service should answer");
        if request.method == "HEAD" {
            assert!(answer.status < 500, "{answer}");
        } else {
            assert_no_server_error(&answer);
        }
        if answer.header("connection") != Some("close") {
            let next = connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").read();
            assert_eq!(
                next.expect("the connection should remain usable").status,
                200,
                "{answer}"
            );
            self.connection = Some(connection);
        }
        answer
    }
}

#[track_caller]
pub fn assert_no_server_error(answer: &Response) {
    assert!(answer.status < 500, "{answer}");
    // The HTTP parser answers malformed requests itself, with a status and neither a request id nor a body.
    let bare = matches!(answer.status, 400 | 431) && answer.header("x-request-id").is_none();
    if answer.status >= 400 && !(bare && answer.body.is_empty()) {
        answer.assert_problem(answer.status);
    }
}

/// Sends bytes that need not be HTTP, closes the sending direction, and returns everything that the service
/// sent.
pub fn exchange(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.base_url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Writing fails if the service has already responded and closed the connection.
    let _ = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("the service did not close the connection")
        }
        // A reset is possible if the service had not read everything.
        _ => String::from_utf8_lossy(&said).into_owned(),
    }
}
