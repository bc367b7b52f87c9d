//! SQLite's limit: runs one of the service's statements in a loop, with one connection per core.
//!
//!     sqlite-limit FILE get|list|create|toggle SECONDS USERS EACH ACTIVE
//!
//! prints the number of executions per second, and `sqlite-limit version` the version of SQLite. The service has created
//! the file, with `USERS` users who have `EACH` tasks each. The statements are for the first `ACTIVE` users.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use rusqlite::{Connection, Result, Statement, params};

/// As in `src/db/sqlite/manager.rs`.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 4000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_size_limit = 67108864;";

const FIRST_USER: i64 = 1_000_000_000_000_000_000;

const MOMENT: &str = "2026-01-02T03:04:05.678901Z";
const TITLE: &str = "Buy oat milk for the weekend";
/// As long as the sort key of this title.
const TITLE_KEY: [u8; 34] = [0x2f; 34];

// The SQL that Diesel generates for `src/store/tasks.rs`, `list.rs` and `write.rs`.
const GET: &str = "
    SELECT tasks.id, tasks.title, tasks.description, tasks.completed, tasks.due_date, tasks.created_at,
        tasks.updated_at, tasks.version
    FROM tasks WHERE ((tasks.user_id = ?1) AND (tasks.id = ?2)) LIMIT 1";
const LIST: &str = "
    SELECT * FROM (
        SELECT tasks.id, tasks.title, tasks.description, tasks.completed, tasks.due_date, tasks.created_at,
            tasks.updated_at, tasks.version, NULL, FALSE
        FROM tasks WHERE (tasks.user_id = ?1) ORDER BY tasks.created_at DESC, tasks.id DESC)
    UNION ALL SELECT * FROM (
        SELECT -9223372036854775807, coalesce(users.email, ''), users.name, FALSE, NULL, users.created_at, users.created_at, 0, NULL, FALSE
        FROM users WHERE (users.id = ?1))";
const CREATE: &str = "
    INSERT INTO tasks (user_id, title, title_key, keyed_title, description, completed, due_date, created_at,
        updated_at)
    VALUES (?1, ?2, ?3, ?2, ?4, FALSE, ?5, ?6, ?6)
    RETURNING id, title, description, completed, due_date, created_at, updated_at, version";
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
    /// Writes queue here, as in the service. SQLite would let concurrent ones fail or sleep.
    writing: Mutex<()>,
}

impl Run {
    /// Runs the statement until the end, and returns the number of executions.
    fn repeat(&self) -> Result<u64> {
        let conn = Connection::open(&self.file)?;
        conn.execute_batch(PRAGMAS)?;
        let mut statement = conn.prepare(match self.work.as_str() {
            "get" => GET,
            "list" => LIST,
            "create" => CREATE,
            "toggle" => TOGGLE,
            other => panic!("{other}?"),
        })?;
        let mut times = 0;
        while !self.end.load(Ordering::Relaxed) {
            let rows = self.once(&mut statement)?;
            assert_eq!(rows, if self.work == "list" { self.each + 1 } else { 1 });
            times += 1;
        }
        Ok(times)
    }

    fn once(&self, statement: &mut Statement<'_>) -> Result<i64> {
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
                MOMENT
            ])?,
            _ => statement.query(params![user, task, MOMENT])?,
        };
        let mut found = 0;
        while let Some(row) = rows.next()? {
            for column in 0..8 {
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
