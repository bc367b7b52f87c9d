//! The service as frontends meet it: through the typed client, and from a page in a real browser.

mod page;
mod typescript_client;
