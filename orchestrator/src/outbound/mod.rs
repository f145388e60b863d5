//! Requests of scripts to somebody else's servers.
//!
//! What a script names may lead anywhere, so each URL, the first and every redirect, is resolved once, each address is
//! looked at ([`address`]), and the connection is made to those addresses and no others ([`client`]). What is not of the
//! public internet needs a line in the app's manifest, and the refusal says which.

mod address;
mod client;
#[cfg(test)]
mod tests;

pub use client::Outbound;
