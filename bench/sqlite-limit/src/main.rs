//! Measures the throughput of SQLite alone: executes one of the service's statements in a loop, with one connection per
//! core.
//!
//!     sqlite-limit FILE get|list|create|toggle SECONDS USERS EACH ACTIVE
//!     sqlite-limit version
//!
//! The first form prints the number of executions per second. The service must have created FILE, which must contain
//! USERS users with EACH tasks each. The statements are for random users among the first ACTIVE ones. The second form
//! prints the version of SQLite.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use rusqlite::{Connection, Result, Statement, params};

/// The settings in `src/db/sqlite/manager.rs`, except that SQLite makes the checkpoints itself.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 4000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_size_limit = 67108864;";

const FIRST_USER: i64 = 1_000_000_000_000_000_000;

const TIMESTAMP: &str = "2026-01-02T03:04:05.678901Z";
const TITLE: &str = "Buy oat milk for the weekend";
/// A placeholder with the length of the sort key of `TITLE`.
const TITLE_KEY: [u8; 34] = [0x2f; 34];

// The statements of `src/store/tasks.rs`, `tasks/list.rs` and `tasks/write.rs`, as Diesel generates them for SQLite.
const GET: &str = "
    SELECT tasks.id, tasks.title, tasks.description, tasks.completed, tasks.due_date, tasks.created_at,
        tasks.updated_at, tasks.version
    FROM tasks WHERE ((tasks.user_id = ?1) AND (tasks.id = ?2))";
const LIST: &str = "
    SELECT tasks.id, tasks.title, tasks.description, tasks.completed, tasks.due_date, tasks.created_at,
        tasks.updated_at, tasks.version, created_at, (FALSE AND '' = ?1)
    FROM tasks WHERE (tasks.user_id = ?1) ORDER BY tasks.created_at DESC, tasks.id DESC LIMIT 501";
const CREATE: &str = "
    INSERT INTO tasks (user_id, title, title_key, keyed_title, description, completed, due_date, created_at,
        updated_at)
    VALUES (?1, ?2, ?3, ?2, ?4, FALSE, ?5, ?6, ?6)
    RETURNING abs(CASE WHEN id > 9007199254740991 THEN -9223372036854775807 - 1 ELSE id END), title,
        description, completed, due_date, created_at, updated_at, version";
const TOGGLE: &str = "
    UPDATE tasks SET completed = NOT (tasks.completed), version = (tasks.version + 1), updated_at = ?3
    WHERE ((tasks.user_id = ?1) AND (tasks.id = ?2))
    RETURNING id, title, description, completed, due_date, created_at, updated_at, version";

struct Run {
    file: String,
    work: String,
    users: i64,
    each: i64,
    active: i64,
    end: AtomicBool,
    /// Allows one write at a time, as the service does. SQLite would let concurrent writes fail or sleep.
    writing: Mutex<()>,
}

impl Run {
    /// Executes the statement until `end` is set, and returns the number of executions.
    fn repeat(&self) -> Result<u64> {
        let conn = Connection::open(&self.file)?;
        conn.execute_batch(PRAGMAS)?;
        let mut statement = conn.prepare(match self.work.as_str() {
            "get" => GET,
            "list" => LIST,
            "create" => CREATE,
            "toggle" => TOGGLE,
            other => panic!("unknown statement: {other}"),
        })?;
        let mut times = 0;
        while !self.end.load(Ordering::Relaxed) {
            let rows = self.execute(&mut statement)?;
            assert_eq!(rows, if self.work == "list" { self.each } else { 1 });
            times += 1;
        }
        Ok(times)
    }

    /// Executes the statement for a random user and task, and returns the number of rows.
    fn execute(&self, statement: &mut Statement<'_>) -> Result<i64> {
        let number = fastrand::i64(0..self.active);
        let user = (FIRST_USER + number).to_string();
        let task = 1 + number + self.users * fastrand::i64(0..self.each);
        let _turn = matches!(self.work.as_str(), "create" | "toggle").then(|| self.writing.lock());
        let mut rows = match self.work.as_str() {
            "get" => statement.query(params![user, task])?,
            "list" => statement.query(params![user])?,
            "create" => statement.query(params![
                user,
                TITLE,
                TITLE_KEY,
                "The one in the blue carton, two of them.",
                None::<&str>,
                TIMESTAMP
            ])?,
            _ => statement.query(params![user, task, TIMESTAMP])?,
        };
        let mut found = 0;
        while let Some(row) = rows.next()? {
            for column in 0..row.as_ref().column_count() {
                std::hint::black_box(row.get_ref(column)?);
            }
            found += 1;
        }
        Ok(found)
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["version"] {
        return println!("{}", rusqlite::version());
    }
    let [file, work, seconds, users, each, active] = arguments.as_slice() else {
        panic!("sqlite-limit FILE WORK SECONDS USERS EACH ACTIVE");
    };
    let number = |text: &String| text.parse().expect("a number");
    let run = Run {
        file: file.clone(),
        work: work.clone(),
        users: number(users),
        each: number(each),
        active: number(active),
        end: AtomicBool::new(false),
        writing: Mutex::new(()),
    };
    let started = Instant::now();
    let times: u64 = thread::scope(|scope| {
        let cores = thread::available_parallelism()
            .expect("the number of cores")
            .get();
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| run.repeat())).collect();
        thread::sleep(Duration::from_secs(number(seconds) as u64));
        run.end.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic").expect("no failure"))
            .sum()
    });
    println!("{:.0}", times as f64 / started.elapsed().as_secs_f64());
}
