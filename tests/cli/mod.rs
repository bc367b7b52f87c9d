//! The command line.

mod commands;
mod first_start;
mod stop;
mod tokens;
