//! What holds for answers of every kind: HEAD, request ids, the probes, `Upgrade`.

mod head;
mod health;
mod request_ids;
mod upgrade;
