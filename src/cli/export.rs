//! `export USER`: prints the user's row and tasks as JSON. Tasks have the same format as in the API.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;
use todo_backend::config::Config;
use todo_backend::domain::{Timestamp, UserId};
use todo_backend::store::operator::{ExportError, Exported, Operator};
use todo_backend::tasks::response;

use super::{Outcome, unknown_user};

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    email: Option<String>,
    name: Option<String>,
    created_at: Timestamp,
}

pub fn run(config: &Config, user: &UserId) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = actix_web::rt::System::new().block_on(async {
        let mut operator = Operator::open(config).await?;
        let mut is_first = true;
        let write = |part| write_part(&mut out, user, part, &mut is_first);
        let found = operator.export(user, write).await?;
        if found {
            out.write_all(b"]}\n")?;
            out.flush()?;
        }
        Ok(found)
    });
    match written {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Err(unknown_user(user.as_str())),
        // The reader of the output has closed the pipe, for example `head`.
        Err(ExportError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

fn write_part(out: &mut impl Write, id: &UserId, part: Exported, is_first: &mut bool) -> io::Result<()> {
    match part {
        Exported::User(user) => {
            let user = User {
                id: id.as_str(),
                email: user.email,
                name: user.name,
                created_at: user.created_at,
            };
            out.write_all(b"{\"user\":")?;
            serde_json::to_writer(&mut *out, &user)?;
            out.write_all(b",\"tasks\":[")
        }
        Exported::Tasks(tasks) => {
            let mut json = Vec::new();
            response::write_elements(&mut json, id, &tasks, *is_first);
            *is_first = false;
            out.write_all(&json)
        }
    }
}
