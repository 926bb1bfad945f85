//! From a stored event to the flow that handles it. The decision is pure
//! ([`route`]); carrying it out is [`Router`]'s.

mod handler;
mod route;
#[cfg(test)]
mod route_tests;
mod treatment;

pub use handler::Router;
pub use route::{Route, Step, route};
