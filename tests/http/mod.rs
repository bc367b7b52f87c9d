//! What holds for answers of every kind: HEAD, request ids, the probes.

mod head;
mod health;
mod request_ids;
