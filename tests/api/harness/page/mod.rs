//! A headless browser for the messenger page.

pub mod browser;
pub mod window;
