//! The methods of `/api/tasks` and `/api/{user_id}/tasks`.

mod bodies;
mod complete;
mod create;
mod delete;
mod due_dates;
mod ids;
mod list;
mod named_user;
mod read;
mod update;
