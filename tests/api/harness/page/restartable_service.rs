//! A service that can be killed and started again.

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::store::redis_server::RedisServer;

/// A service that is killed and restarted at the same address, while its Redis keeps running.
pub struct RestartableService {
    pub redis: RedisServer,
    pub address: String,
    dir: TempDir,
    process: Option<ServiceProcess>,
}

impl RestartableService {
    pub fn start() -> Self {
        let mut service = Self {
            redis: RedisServer::durable(),
            address: "http://127.0.0.1:0".to_owned(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
        };
        service.restart();
        service.address = service.process.as_ref().unwrap().address.clone();
        service
    }

    pub fn kill(&mut self) {
        let process = self.process.take().unwrap();
        process.signal(Signal::KILL);
    }

    pub fn restart(&mut self) {
        let (url, bind) = (self.redis.url(), self.address.replace("http://", ""));
        let settings = [("DUOLOGUE_REDIS_URL", &*url), ("DUOLOGUE_BIND", &*bind)];
        self.process = Some(ServiceProcess::start_with(self.dir.path(), &settings));
    }
}
