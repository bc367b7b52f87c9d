//! `token USER`: prints a JWT with which the service can be tried out.

use std::time::Duration;

use clap::Args;

use super::{Outcome, print};
use crate::auth;
use crate::config::Config;
use crate::domain::UserId;

#[derive(Args)]
pub struct Arguments {
    user: String,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    name: Option<String>,
    /// How long the token is valid, in seconds
    #[arg(long, default_value_t = 3600)]
    ttl: u64,
}

pub fn run(config: &Config, arguments: &Arguments) -> Outcome {
    let user = UserId::parse(&arguments.user).ok_or("a user id has 1 to 255 characters and is not blank")?;
    let (email, name) = (arguments.email.as_deref(), arguments.name.as_deref());
    let ttl = Duration::from_secs(arguments.ttl);
    let secrets = config.secret_source.load_or_generate()?;
    let token = auth::mint(config, &secrets, &user, email, name, ttl)?;
    print(&format!("{token}\n"))
}
