//! Request log, check of the host and the site, authentication, client address and `HEAD`.

pub mod authenticate;
pub mod client_ip;
pub mod cors;
pub mod head;
pub mod request_log;
pub mod site;
