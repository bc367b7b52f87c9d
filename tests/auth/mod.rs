//! Authentication: which tokens are accepted, and the row in `users` that is created from a token.

mod bad_tokens;
mod forged;
mod good_tokens;
mod key_sets;
mod log;
mod round_trips;
mod tokens;
mod users;
