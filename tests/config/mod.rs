//! Configuration: the effect of variables, and values that stop the start.

mod database_urls;
mod effects;
mod env_files;
mod lists;
mod secret_files;
mod secrets;
mod wrong_values;
