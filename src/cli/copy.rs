//! `copy [--from URL] [--to URL]`: copies all data from one database into another.

use std::io::{self, IsTerminal as _, Write as _};

use super::{Outcome, print};
use crate::config::Config;
use crate::db::Database;
use crate::store::operator::{self, Copied, Session};

pub fn run(config: &Config, from: Option<&str>, to: Option<&str>) -> Outcome {
    let source = config_for("--from", from, config)?;
    let target = config_for("--to", to, config)?;
    // The texts do not contain passwords, because two URLs that differ only in the password name the same database.
    if source.database_url.to_string() == target.database_url.to_string() {
        return Err("the source and the target are the same database".into());
    }
    let copied = actix_web::rt::System::new().block_on(async {
        // The source is opened first, so that no tables are created in the target if the URL of the source is wrong.
        let mut from = Session::open(&source).await?;
        Database::open(&target).migrate()?;
        let mut to = Session::open(&target).await?;
        Outcome::<_>::Ok(operator::copy(&mut from, &mut to, &mut progress_reporter()).await?)
    });
    let Copied { users, tasks, keys } = copied?;
    print(&format!(
        "copied from {} to {}: {users} users, {tasks} tasks, {keys} idempotency keys\n",
        source.database_url, target.database_url
    ))
}

fn config_for(option: &str, url: Option<&str>, default: &Config) -> Outcome<Config> {
    let Some(url) = url else {
        return Ok(default.clone());
    };
    Config::for_database(url).map_err(|error| match error.variable {
        "DATABASE_URL" => format!("{option}: {}", error.problem).into(),
        _ => error.into(),
    })
}

/// Returns a function that shows the progress on a terminal. Elsewhere the function shows nothing, because the output
/// would fill a log file.
fn progress_reporter() -> impl FnMut(i64, i64) {
    let is_visible = io::stderr().is_terminal();
    move |done, all| {
        if is_visible {
            let percent = done * 100 / all.max(1);
            let end = if done == all { "\n" } else { "" };
            let _ = write!(io::stderr(), "\r{done} of {all} rows ({percent} %){end}");
        }
    }
}
