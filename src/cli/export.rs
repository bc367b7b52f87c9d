//! `export USER`: prints the user's row and tasks as JSON. Tasks have the same format as in the API.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use super::{Outcome, unknown_user};
use crate::config::Config;
use crate::domain::UserId;
use crate::store::operator::{Exported, Operator, OperatorError};
use crate::tasks::response;

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
        Err(OperatorError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

fn write_part(out: &mut impl Write, id: &UserId, part: Exported, is_first: &mut bool) -> io::Result<()> {
    match part {
        Exported::User(user) => {
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
