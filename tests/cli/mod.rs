//! The command line.

mod commands;
mod first_start;
mod inspect_token;
mod stop;
mod tokens;
