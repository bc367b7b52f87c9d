//! The service together with frontends: the typed client, and the Next.js example in a real browser.

mod client;
mod scenarios;
mod stack;
mod workspace;
