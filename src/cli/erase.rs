//! `erase USER`: deletes the user's tasks, idempotency keys and row after a confirmation. The row stays if the table
//! belongs to Better Auth.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::{Outcome, print, unknown_user};
use crate::config::Config;
use crate::domain::UserId;
use crate::store::operator::{Erased, Session};

/// The exit status for incorrect usage, which clap uses as well.
const USAGE_ERROR: u8 = 2;

pub fn run(config: &Config, user: &UserId, yes: bool) -> Outcome {
    if !yes && !io::stdin().is_terminal() {
        let _ = writeln!(
            io::stderr(),
            "todo-backend: stdin is not a terminal, so the deletion cannot be confirmed: use `erase --yes`"
        );
        return Ok(ExitCode::from(USAGE_ERROR));
    }
    let user_id = user.as_str();
    let erased = actix_web::rt::System::new().block_on(async {
        let mut session = Session::open(config).await?;
        let count = session.count_tasks(user).await?;
        let count = count.ok_or_else(|| unknown_user(user_id))?;
        let question = format!(
            "Delete all data of {user_id:?}, including {}?",
            format_task_count(count)
        );
        if !yes && !is_confirmed(&question)? {
            return Ok(None);
        }
        let erased = session.erase(user).await?;
        Outcome::<_>::Ok(Some(erased.ok_or_else(|| unknown_user(user_id))?))
    });
    let Some(Erased { tasks, row_kept }) = erased? else {
        return Err("nothing was deleted".into());
    };
    let tasks = format_task_count(tasks);
    print(&match row_kept {
        true => format!(
            "deleted {tasks} of {user_id:?}; the row in `users` stays, because the table is Better Auth's\n"
        ),
        false => format!("deleted {user_id:?} and {tasks}\n"),
    })
}

fn format_task_count(count: i64) -> String {
    match count {
        1 => "1 task".into(),
        _ => format!("{count} tasks"),
    }
}

fn is_confirmed(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
