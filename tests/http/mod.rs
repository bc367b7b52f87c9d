//! Behaviour of all routes: HEAD, the liveness probe, `Upgrade`.

mod head;
mod health;
mod old_clients;
mod upgrade;
