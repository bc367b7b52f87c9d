//! HTTP behaviour that does not depend on the resource: HEAD, the liveness probe, HTTP/1.0 clients,
//! `Upgrade`.

mod head;
mod health;
mod old_clients;
mod upgrade;
