//! The service as frontends meet it: through the typed client, and from the Next.js example in a real browser.

mod client;
mod played;
mod stack;
mod workspace;
