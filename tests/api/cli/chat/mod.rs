//! `duologue chat`, the terminal client.

mod played;
mod session;
mod terminals;
