//! Clients of the live API.

pub mod client_state;
pub mod connect_options;
pub mod device;
pub mod event_stream;
pub mod frame;
pub mod presence;
pub mod pubsub_listener;
pub mod raw_socket;
pub mod replica;
pub mod resume;
pub mod room_watch;
pub mod test_session;
pub mod watcher;
