//! The words and rules of Patchbay.
//!
//! Plain data and pure functions: nothing here reads a clock, a file, a socket or randomness, so
//! every rule can be tested by calling it. What a rule needs to know of the world is a parameter.

pub mod answer;
pub mod budget;
pub mod connection;
pub mod connector;
pub mod dedupe;
pub mod envelope;
pub mod event;
pub mod expression;
pub mod fixture;
pub mod form;
pub mod handshake;
pub mod id;
pub mod inbox;
pub mod intake;
pub mod json;
pub mod mask;
pub mod oauth1;
pub mod origin;
pub mod page;
pub mod paging;
mod raw;
pub mod reach;
pub mod record;
pub mod refusal;
pub mod retry;
pub mod schedule;
pub mod secret;
pub mod signature;
pub mod socket;
pub mod sync;
pub mod template;
pub mod text;
pub mod token;
pub mod tunnel;
pub mod xml;
