//! A running service, and the cost of a round of requests to it.

use tempfile::TempDir;

use crate::load::{CONNECTIONS, Load};
use crate::process::{Server, cpu};
use crate::store::Redis;
use crate::wrk::Requests;
use crate::{Interrupt, Outcome};

/// A service with an embedded Redis and a folder of its own.
pub struct Bench<'a> {
    // Fields are dropped in order, so the service stops before its folder is removed.
    pub service: Server,
    pub redis: Redis,
    pub dir: TempDir,
    pub interrupt: &'a Interrupt,
}

impl<'a> Bench<'a> {
    /// Starts a service with the durability `fsync` and these environment variables.
    pub fn start(
        interrupt: &'a Interrupt,
        fsync: &str,
        workers: usize,
        settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("duologue-").tempdir()?;
        let data = dir.path().join("data");
        let (service, redis) = Server::duologue(&data, fsync, workers, settings)?;
        Ok(Self {
            service,
            redis,
            dir,
            interrupt,
        })
    }

    /// Does some work; returns its result and the CPU of the service and of Redis, in microseconds.
    pub fn cpu_of<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<(T, f64, f64)> {
        let before = (self.service.cpu()?, cpu(self.redis.pid)?);
        let result = work(self)?;
        let after = (self.service.cpu()?, cpu(self.redis.pid)?);
        Ok((result, after.0 - before.0, after.1 - before.1))
    }

    /// Runs `wrk` for some seconds; returns its report and the CPU of the service and of Redis, in
    /// microseconds.
    pub fn measure(&self, requests: &Requests, seconds: u32) -> Outcome<(Load, f64, f64)> {
        self.measure_load(|url| requests.run(url, seconds, CONNECTIONS))
    }

    /// Like [`Self::measure`], for a load of any kind on the service with this URL.
    pub fn measure_load(
        &self,
        work: impl FnOnce(&str) -> Outcome<Load>,
    ) -> Outcome<(Load, f64, f64)> {
        self.interrupt.check()?;
        let before = (self.service.cpu()?, cpu(self.redis.pid)?);
        let load = work(&self.service.url)?;
        let after = (self.service.cpu()?, cpu(self.redis.pid)?);
        Ok((load, after.0 - before.0, after.1 - before.1))
    }
}
