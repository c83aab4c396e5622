//! A headless browser for the messenger page, a service that restarts, and a proxy with a path.

pub mod browser;
pub mod client_page;
pub mod prefix_proxy;
pub mod restartable_service;
pub mod window;
