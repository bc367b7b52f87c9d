//! Configuration: what each variable does, and what stops the start.

mod effects;
mod env_files;
mod lists;
mod secret_files;
mod secrets;
mod wrong_values;
