//! Authentication: tokens and the `users` row that a user gets.

mod bad_tokens;
mod forged;
mod good_tokens;
mod key_sets;
mod log;
mod round_trips;
mod tokens;
mod users;
