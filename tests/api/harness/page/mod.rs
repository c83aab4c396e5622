//! A headless browser for the messenger page, and a service that restarts.

pub mod browser;
pub mod client_page;
pub mod restartable_service;
pub mod window;
