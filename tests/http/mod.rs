//! Behaviour of all routes: HEAD, request ids, the liveness probe, `Upgrade`.

mod head;
mod health;
mod request_ids;
mod upgrade;
