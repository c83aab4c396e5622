//! Where a person sits: a prompt below what is said, or, in a pipe, plain lines.

use std::future::pending;
use std::io::{self, BufRead, IsTerminal, Write};

use rustyline_async::{Readline, ReadlineEvent, SharedWriter};
use tokio::sync::mpsc;

use super::event::{ClientEvent, Status};
use super::render;
use super::render::{DeliveryStatus, Tone, safe};
use super::transcript::Line;

/// Lines of a pipe that may wait to be taken.
const AHEAD: usize = 64;

// What colours are in a terminal (ECMA-48 section 8.3.117).
const PLAIN: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const MAGENTA: &str = "\x1b[35m";
const CYAN: &str = "\x1b[36m";

/// A terminal, or what stands in for one.
pub struct Terminal {
    me: String,
    peer: String,
    kind: Kind,
}

enum Kind {
    Prompt {
        readline: Box<Readline>,
        above: SharedWriter,
    },
    Pipe {
        /// None after the last one.
        lines: Option<mpsc::Receiver<String>>,
        tick: Option<(u64, DeliveryStatus)>,
    },
}

impl Terminal {
    /// The one that the process has.
    pub fn open(me: &str, peer: &str) -> io::Result<Self> {
        let kind = if io::stdin().is_terminal() && io::stdout().is_terminal() {
            prompt()?
        } else {
            Kind::Pipe {
                lines: Some(pipe()),
                tick: None,
            }
        };
        let (me, peer) = (me.to_owned(), peer.to_owned());
        Ok(Self { me, peer, kind })
    }

    /// What is typed next. May be given up at any time.
    pub async fn typed(&mut self) -> ClientEvent {
        match &mut self.kind {
            Kind::Prompt { readline, .. } => match readline.readline().await {
                Ok(ReadlineEvent::Line(line)) => {
                    readline.add_history_entry(line.clone());
                    ClientEvent::Typed(line)
                }
                Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) | Err(_) => {
                    ClientEvent::Finished
                }
            },
            Kind::Pipe { lines, .. } => {
                let Some(open) = lines else {
                    return pending().await;
                };
                let line = open.recv().await;
                if line.is_none() {
                    *lines = None;
                }
                line.map_or(ClientEvent::Finished, ClientEvent::Typed)
            }
        }
    }

    /// Shows something of the conversation.
    pub fn show(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            let (tone, head, rest) = render::line(line, &self.me);
            match self.kind {
                Kind::Prompt { .. } => text.push_str(&coloured(tone, &head, &rest)),
                Kind::Pipe { .. } => text.push_str(format!("{head} {rest}").trim_end()),
            }
            text.push('\n');
        }
        self.write(&text)
    }

    /// Tells something that is not of the conversation.
    pub fn note(&mut self, note: &str) -> io::Result<()> {
        let note = safe(note);
        match self.kind {
            Kind::Prompt { .. } => self.write(&format!("{}\n", dim(&note))),
            Kind::Pipe { .. } => writeln!(io::stderr(), "{note}"),
        }
    }

    /// Shows how things stand: in the prompt; in a pipe, how far one's last message is.
    pub fn status(&mut self, status: Status) -> io::Result<()> {
        match &mut self.kind {
            Kind::Prompt { readline, .. } => readline
                .update_prompt(&prompt_of(&self.peer, status))
                .map_err(io::Error::other),
            Kind::Pipe { tick, .. } => {
                if status.tick == *tick {
                    return Ok(());
                }
                *tick = status.tick;
                let Some((seq, tick)) = status.tick else {
                    return Ok(());
                };
                self.write(&format!("{} {} {seq}\n", tick.sign(), tick.word()))
            }
        }
    }

    /// Leaves the screen as it should be.
    pub fn close(&mut self) {
        if let Kind::Prompt { readline, .. } = &mut self.kind {
            let _ = readline.flush();
        }
    }

    /// Writes whole lines.
    fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.kind {
            Kind::Prompt { above, .. } => above.write_all(text.as_bytes()),
            Kind::Pipe { .. } => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.flush()
            }
        }
    }
}

fn prompt() -> io::Result<Kind> {
    let (mut readline, above) = Readline::new("> ".to_owned()).map_err(io::Error::other)?;
    // What was typed is shown again where it belongs, once it is stored.
    readline.should_print_line_on(false, false);
    Ok(Kind::Prompt {
        readline: Box::new(readline),
        above,
    })
}

/// Reads a pipe in a thread of its own, since there is no other way to stop waiting for it.
fn pipe() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The prompt: what is wrong, what the peer does, how far one's last message is.
fn prompt_of(peer: &str, status: Status) -> String {
    let offline = (!status.online).then(|| dim("offline "));
    let waiting = (status.waiting > 0).then(|| dim(&format!("{} waiting ", status.waiting)));
    let typing = status.typing.then(|| dim(&format!("{peer} is typing… ")));
    let tick = status.tick.map(|(_, tick)| match tick {
        DeliveryStatus::Read => format!("{CYAN}{}{PLAIN} ", tick.sign()),
        DeliveryStatus::Sent | DeliveryStatus::Delivered => dim(&format!("{} ", tick.sign())),
    });
    let parts = [offline, waiting, typing, tick].into_iter().flatten();
    parts.chain(["> ".to_owned()]).collect()
}

fn coloured(tone: Tone, head: &str, rest: &str) -> String {
    match tone {
        Tone::Mine => format!("{GREEN}{head}{PLAIN} {rest}"),
        Tone::Theirs => format!("{MAGENTA}{head}{PLAIN} {rest}"),
        Tone::Aside => dim(&format!("{head} {rest}")),
    }
}

fn dim(text: &str) -> String {
    format!("{DIM}{text}{PLAIN}")
}
