//! The command line.

mod commands;
mod completions;
mod copy;
mod data;
mod files;
mod first_start;
mod inspect_token;
mod stop;
mod systemd;
mod tokens;
