//! Tests that add handlers to the service. The service therefore runs inside the test process.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::web;
use tempfile::TempDir;
use todo_backend::app;
use todo_backend::config::Config;
use todo_backend::store::OwnedTasks;

use crate::support::raw::Connection;

const ORIGIN: &str = "http://localhost:3000";

struct Embedded {
    address: String,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Embedded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/todo.db", folder.path().display());
        let (send, receive) = mpsc::channel();
        let thread = thread::spawn(move || {
            let config = Config::from_variables(&|variable| match variable {
                "DATABASE_URL" => Some(url.clone().into()),
                "PORT" => Some("0".into()),
                _ => None,
            });
            actix_web::rt::System::new().block_on(async {
                let service = app::start_with(&config.unwrap(), |routes| {
                    routes
                        .route("/panics", web::get().to(panics))
                        .route("/unguarded", web::get().to(unguarded));
                });
                let service = service.unwrap();
                let address = service.address.to_string();
                send.send((address, service.server.handle())).unwrap();
                service.server.await.unwrap();
            });
        });
        let (address, handle) = receive.recv().unwrap();
        let thread = Some(thread);
        Self {
            address,
            handle,
            thread,
            _folder: folder,
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // `stop` sends its command before it returns. The returned future only waits for the result.
        drop(self.handle.stop(false));
        let _ = self.thread.take().unwrap().join();
    }
}

async fn panics() -> &'static str {
    panic!("this handler always panics")
}

async fn unguarded(tasks: OwnedTasks) -> String {
    tasks.owner().as_str().to_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {ORIGIN}\r\n\r\n")
}

#[test]
fn a_panic_in_a_handler_is_a_500_problem_and_the_connection_lives_on() {
    let app = Embedded::start();
    let mut connection = Connection::to(&app.address);

    let panicked = connection.send(get("/panics")).read().unwrap();
    panicked.assert_problem(500);
    assert!(!panicked.text().contains("always panics"));
    assert_eq!(panicked.headers["access-control-allow-origin"], ORIGIN);

    let alive = connection.send(get("/livez")).read().unwrap();
    assert_eq!(alive.status, 200);
}

#[test]
fn a_route_outside_of_the_guarded_scope_answers_401_and_no_data() {
    let app = Embedded::start();
    let answer = Connection::to(&app.address)
        .send(get("/unguarded"))
        .read()
        .unwrap();
    answer.assert_problem(401);
}
