//! A `redis-server` under callgrind, which counts the instructions that it executes.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::store::redis_server::RedisServer;

/// The server, and the folder of the counts.
pub struct CountedRedis {
    pub server: RedisServer,
    dir: TempDir,
}

impl CountedRedis {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let out = format!("--callgrind-out-file={}/out", dir.path().display());
        let callgrind = ["valgrind", "--tool=callgrind", "--quiet", &out];
        // What the server does by itself, ten times a second by default, is not to be counted.
        let options = ["--save", "", "--hz", "1"];
        let server = RedisServer::start_under(&callgrind, &options);
        Self { server, dir }
    }

    /// The number of instructions of the server since the last call, or since it started.
    pub fn take_instructions(&self) -> f64 {
        let before = self.dumps();
        let done = Command::new("callgrind_control")
            .args(["--dump", &self.server.pid().to_string()])
            .output()
            .unwrap();
        assert!(done.status.success(), "callgrind_control: {done:?}");
        let new: Vec<_> = self.dumps().into_iter().skip(before.len()).collect();
        let [dump] = &new[..] else {
            panic!("one dump, not {new:?}");
        };
        let text = fs::read_to_string(dump).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total.expect("totals").trim().parse().unwrap()
    }

    /// The files of counts, the oldest first.
    fn dumps(&self) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let entries = entries.map(|entry| entry.unwrap().path());
        let mut dumps: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
        let number = |path: &std::path::PathBuf| {
            let number = path.extension().and_then(|number| number.to_str());
            number.and_then(|number| number.parse::<u32>().ok())
        };
        dumps.sort_by_key(number);
        dumps
    }
}
