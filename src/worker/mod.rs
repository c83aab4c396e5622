//! Everything that runs in the background.

pub mod presence;
pub mod retention;
