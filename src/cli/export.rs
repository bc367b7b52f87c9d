//! `export USER`: prints the user's row and tasks as JSON. Tasks have the same format as in the API.

use std::io::{self, BufWriter, ErrorKind};
use std::process::ExitCode;

use super::{Outcome, unknown_user};
use crate::config::Config;
use crate::domain::UserId;
use crate::store::operator::{OperatorError, Session};
use crate::tasks::response::write_elements;

pub fn run(config: &Config, user: &UserId) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = actix_web::rt::System::new().block_on(async {
        let mut session = Session::open(config).await?;
        session.export(user, write_elements, &mut out).await
    });
    match written {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Err(unknown_user(user.as_str())),
        // The reader of the output has closed the pipe, for example `head`.
        Err(OperatorError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}
