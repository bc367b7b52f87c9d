//! The command line.

mod commands;
mod completions;
mod first_start;
mod inspect_token;
mod stop;
mod tokens;
