//! `duologue chat` as a separate process with piped input and output.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::cli::service_process;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A running `duologue chat`. Killed when dropped.
pub struct ChatProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    coming: Receiver<String>,
    /// The lines of stdout and stderr so far.
    pub shown: Vec<String>,
}

impl ChatProcess {
    /// Starts it in UTC, whatever the machine's time zone.
    pub fn start(address: &str, me: &str, peer: &str) -> Self {
        Self::start_with(address, me, peer, &[])
    }

    /// The same with environment variables.
    pub fn start_with(address: &str, me: &str, peer: &str, variables: &[(&str, &str)]) -> Self {
        Self::launch(&["--as", me, "--with", peer, "--url", address], variables)
    }

    /// Starts it in a room.
    pub fn join(address: &str, me: &str, room: &str) -> Self {
        Self::join_with(address, me, room, &[])
    }

    /// The same with environment variables.
    pub fn join_with(address: &str, me: &str, room: &str, variables: &[(&str, &str)]) -> Self {
        Self::launch(&["--as", me, "--room", room, "--url", address], variables)
    }

    fn launch(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = service_process::command();
        command.arg("chat").args(arguments);
        command.stdin(Stdio::piped()).env("TZ", "UTC");
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        let (sender, coming) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(output).lines();
                lines
                    .map_while(Result::ok)
                    .try_for_each(|line| sender.send(line))
            });
        }
        Self {
            stdin: child.stdin.take(),
            child,
            coming,
            shown: Vec::new(),
        }
    }

    pub fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Waits until a line with this ending has been shown.
    #[track_caller]
    pub fn wait_for_line(&mut self, end: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.shown.iter().any(|line| line.ends_with(end)) {
            let left = deadline.duration_since(Instant::now());
            match self.coming.recv_timeout(left) {
                Ok(line) => self.shown.push(line),
                Err(why) => panic!("{end} is not shown ({why}): {:#?}", self.shown),
            }
        }
    }

    /// The lines of the conversation as `sender: body`, without the time.
    pub fn messages(&self) -> Vec<&str> {
        let lines = self.shown.iter().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(time, _)| time.len() == 5 && time.as_bytes()[2] == b':')
            .map(|(_, said)| said)
            .collect()
    }

    /// Closes its input and waits for it to exit.
    pub fn end_input(&mut self) -> ExitStatus {
        self.stdin = None;
        self.wait_for_exit()
    }

    /// Waits for it to exit and collects its remaining output.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let status = service_process::wait(&mut self.child, TIMEOUT);
        self.shown.extend(self.coming.iter());
        status
    }
}

impl Drop for ChatProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
