//! Replicas are replaced one after the other while users work, and no request fails.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::balancer::{Balancer, IdleConnections, Replica};
use super::replicas;
use crate::support::app::Builder;
use crate::support::stop_flag::StopFlag;
use crate::support::task::id;
use crate::support::{Actor, Database, OwnDatabase, Response, TestApp, random, wait};

/// A client that sends one request at a time.
struct Client<'a> {
    user: &'a Actor,
    balancer: &'a Balancer,
    idle: IdleConnections,
}

impl Client<'_> {
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Response {
        let token = self.user.token.as_deref().unwrap();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: balancer\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nIdempotency-Key: {}\r\n\r\n{body}",
            body.len(),
            random::suffix(),
        );
        let answer = self.balancer.send(&mut self.idle, request.as_bytes());
        answer.unwrap_or_else(|| panic!("{method} {path} got no response"))
    }

    /// Creates, changes, reads and deletes tasks, and checks that every request succeeds and every read returns the
    /// latest state. Returns the title of the only task that it does not delete.
    fn work(&mut self, round: usize) -> String {
        let title = format!("task {round}");
        let new = Some(json!({ "title": "new" }));
        let task = self.ask("POST", "/api/tasks", new.clone()).expect(201).json();
        let deleted = self.ask("POST", "/api/tasks", new).expect(201).json();
        let path = format!("/api/tasks/{}", id(&task));
        self.ask("PUT", &path, Some(json!({ "title": title })))
            .expect(200);
        let toggled = self.ask("PATCH", &format!("{path}/complete"), None).expect(200);
        self.ask("DELETE", &format!("/api/tasks/{}", id(&deleted)), None)
            .expect(204);
        assert_eq!(self.ask("GET", &path, None).expect(200).json(), toggled.json());
        let list = self.ask("GET", "/api/tasks", None).expect(200).json();
        assert_eq!(list[0], toggled.json());
        title
    }
}

/// Calls [`Client::work`] until `stop_flag` is set, and returns the titles of the tasks that must then exist, newest
/// first.
fn work_until(stop_flag: &StopFlag, user: &Actor, balancer: &Balancer) -> Vec<String> {
    let mut client = Client {
        user,
        balancer,
        idle: IdleConnections::new(),
    };
    let rounds = (0..).take_while(|_| !stop_flag.is_set());
    let mut titles: Vec<String> = rounds.map(|round| client.work(round)).collect();
    titles.reverse();
    titles
}

/// Replaces every process with a new one, one after the other. Returns how many requests were in flight when their
/// replica was told to stop.
fn replace_each(
    database: &Arc<OwnDatabase>,
    balancer: &Balancer,
    running: &mut [(TestApp, Arc<Replica>)],
) -> usize {
    let mut in_flight = 0;
    for (app, replica) in running {
        wait::until(Duration::from_secs(20), || {
            (replica.answered() > 10).then_some(())
        })
        .expect("the replica should receive requests");
        balancer.remove(replica);
        in_flight += replica.in_flight();
        assert!(app.stop(), "the process should exit successfully and in time");
        *app = Builder::on(Arc::clone(database)).start();
        *replica = balancer.add(app);
    }
    in_flight
}

#[test]
fn a_rolling_restart_under_load_fails_no_request() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let balancer = Balancer::default();
    let mut running = Vec::new();
    for app in replicas(3, &database, &database.url) {
        let replica = balancer.add(&app);
        running.push((app, replica));
    }
    let user = |number| running[0].0.user(&format!("u{number}"));
    let users: Vec<Actor> = (0..8).map(user).collect();
    for user in &users {
        user.get("/api/tasks").expect(200);
    }
    // Long lists take a while, so that requests are likely to be in flight when a replica is told to stop.
    database.execute(
        "INSERT INTO tasks (user_id, title, created_at) \
         SELECT id, 'old', now() - interval '1 day' FROM users, generate_series(1, 1000)",
    );
    let stop_flag = StopFlag::default();
    let mut in_flight = 0;
    let left: Vec<Vec<String>> = thread::scope(|scope| {
        let (stop_flag, balancer) = (&stop_flag, &balancer);
        let work = |user| scope.spawn(move || work_until(stop_flag, user, balancer));
        let workers: Vec<_> = users.iter().map(work).collect();
        let guard = stop_flag.guard();
        for _ in 0..2 {
            in_flight += replace_each(&database, balancer, &mut running);
        }
        drop(guard);
        let left = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        left.map(|left| left.expect("every request should succeed"))
            .collect()
    });
    println!("{in_flight} requests were in flight when their replica was told to stop");
    assert!(in_flight > 0);
    for (user, left) in users.iter().zip(left) {
        let mut titles = user.at(running[0].0.target()).titles("/api/tasks");
        titles.retain(|title| title != "old");
        assert_eq!(titles, left);
    }
}
