//! Patchbay from outside: everything real that can be, on a data directory of its own.
//!
//! [`TestApp`] is the real engine and the real routers. Only the edges are stood in for: the
//! keychain by a vault in memory, the wall clock by one that a test sets, other people's APIs by
//! the sandbox. Each module tests one noun.

pub mod app;
pub mod socket;

#[cfg(test)]
mod chat;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod events;
#[cfg(test)]
mod hand_over;
#[cfg(test)]
mod inboxes;
#[cfg(test)]
mod ingress;
#[cfg(test)]
mod login;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod sandbox_shop;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tcp_door;
#[cfg(test)]
mod webhooks;

pub use app::{Answer, TestApp, TestInbox};
