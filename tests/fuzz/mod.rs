//! Everything that parses what a client sends, fed with what no client should send, through the real
//! port: no panic, no 5xx, every error a problem, and the connection goes on.
//!
//! A few thousand inputs in the suite; `FUZZ_CASES=1000000` for so many. An input that fails is made as
//! small as it gets, and its seed is kept in `proptest-regressions`, to be tried first ever after.

mod bodies;
mod bytes;
mod headers;
mod queries;
mod request;
mod session;
mod text;
mod tokens;
