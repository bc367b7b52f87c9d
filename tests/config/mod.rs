//! Configuration: what each variable does, and what stops the start.

mod effects;
mod env_files;
mod wrong_values;
