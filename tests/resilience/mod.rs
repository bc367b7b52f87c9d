//! Fault injection: after each fault, the service keeps working and no acknowledged write is lost.

mod connection_limit;
mod group_commit;
mod killed_database;
mod killed_service;
mod late_database;
mod locked_row;
mod locked_table;
mod lost_connections;
mod no_room;
mod overload;
mod pipelines;
mod slow_clients;
mod standby;
mod stopping;
mod stuck;
mod two_processes;
mod vanished_file;
pub mod watch;
mod writers;
