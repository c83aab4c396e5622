//! What every request passes: logging, the check of its site, authentication, the client's address.

pub mod authenticate;
pub mod client_ip;
pub mod head;
pub mod request_log;
pub mod site;
