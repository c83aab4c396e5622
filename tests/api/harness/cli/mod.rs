//! The binary as a process of its own.

pub mod chat_process;
pub mod service_process;
