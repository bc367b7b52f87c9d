//! Behaviour of all routes: HEAD, request ids, the liveness probe, `Upgrade`.

mod head;
mod health;
mod old_clients;
mod request_ids;
mod upgrade;
