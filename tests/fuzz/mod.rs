//! Property tests that send unusual input over HTTP to the parsers of paths, queries, headers, tokens and
//! bodies. No input may cause a panic or a 5xx status, every error must be a problem document (except the 400
//! and 431 of the HTTP parser, which have no body), and the connection must remain usable unless the response
//! closes it.
//!
//! The tests try 8,000 inputs; set `FUZZ_CASES` (for example 1000000) for more. A failing input is shrunk,
//! and its seed is stored in `proptest-regressions` and tried first in later runs.

mod bodies;
mod bytes;
mod headers;
mod queries;
mod request;
mod session;
mod text;
mod tokens;
