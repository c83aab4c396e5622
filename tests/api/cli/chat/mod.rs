//! `duologue chat`, the terminal client.

mod session;
mod terminals;
mod test_session;
