//! Connecting with the real binary, to servers of somebody else's that the tests stand in for: what
//! becomes of secrets, of renewals that are cut short, and of input that is bad.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../home/mod.rs"]
mod home;

mod api;
mod bad_input;
mod canary;
mod kill;
mod open;
mod stand_in;
