//! `DATABASE_URL`: the accepted forms, and the passwords and parameters in messages about it.

use super::wrong_values::assert_refused;
use crate::support::app::SECRET;
use crate::support::cli::{Outcome, run};

fn check(url: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", url), ("BETTER_AUTH_SECRET", SECRET)];
    run(folder.path(), &environment, &["check-config"])
}

#[test]
fn each_form_is_accepted_and_shown_without_its_password() {
    skip_at_a_deployment!();
    for (url, shown) in [
        ("sqlite://data/todo.db", "sqlite://data/todo.db"),
        ("sqlite:///var/lib/todo.db", "sqlite:///var/lib/todo.db"),
        ("postgres://localhost/todo", "postgres://localhost/todo"),
        ("postgres://[::1]:5432/todo", "postgres://[::1]:5432/todo"),
        (
            "postgresql://todo:hunter2@db.example:5432/todo?sslmode=require&channel_binding=require",
            "postgresql://todo:***@db.example:5432/todo?sslmode=require&channel_binding=require",
        ),
        (
            "postgres://todo@a:5432,b:5433/todo?user=todo&password=hunter2&target_session_attrs=read-write",
            "postgres://todo@a:5432,b:5433/todo?user=todo&password=***&target_session_attrs=read-write",
        ),
        (
            "postgres:///todo?host=a,b&port=5432,5433&connect_timeout=10",
            "postgres:///todo?host=a,b&port=5432,5433&connect_timeout=10",
        ),
    ] {
        let checked = check(url).expect_success();
        let line = format!("DATABASE_URL={shown}\n");
        assert!(checked.stdout.contains(&line), "{url}: {}", checked.stdout);
    }
}

#[test]
fn an_invalid_or_unsupported_parameter_is_named() {
    skip_at_a_deployment!();
    for (url, name) in [
        ("postgres://h/d?sslcrl=x", "sslcrl"),
        ("postgres://h/d?pgbouncer=true", "pgbouncer"),
        (
            "postgres://h/d?target_session_attrs=standby",
            "target_session_attrs",
        ),
        ("postgres://h/d?connect_timeout=soon", "connect_timeout"),
        ("postgres://h/d?tcp_user_timeout=-1", "tcp_user_timeout"),
        ("postgres://h/d?channel_binding=maybe", "channel_binding"),
        ("postgres://h:0/d", "port"),
        // This may be the rest of a password that was not percent-encoded.
        (
            "postgres://h/d?password=a&hunter2=b",
            "percent-encode special characters",
        ),
    ] {
        let outcome = check(url);
        assert_refused("DATABASE_URL", url, &outcome);
        assert!(outcome.stderr.contains(name), "{url}: {}", outcome.stderr);
    }
}
