//! Clients that act at random while Redis fails, and the comparison of all they hold with what the service
//! returns afterwards. `make chaos` runs the long tests, which are ignored otherwise.

mod crowd;
mod one_redis;
mod report;
