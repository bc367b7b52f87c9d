//! Property tests that send unusual input over HTTP to everything that parses client data. No input may cause
//! a panic or a 5xx status, every error must be a problem document, and the connection must remain usable.
//!
//! The suite tries a few thousand inputs; set `FUZZ_CASES` (for example 1000000) for more. A failing input is
//! shrunk, and its seed is stored in `proptest-regressions` and tried first in later runs.

mod bodies;
mod bytes;
mod headers;
mod queries;
mod request;
mod session;
mod text;
mod tokens;
