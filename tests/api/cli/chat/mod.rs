//! `duologue chat`, the terminal client.

mod rooms;
mod session;
mod terminals;
mod test_session;
