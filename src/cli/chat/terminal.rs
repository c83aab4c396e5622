//! Input and output: a prompt below the conversation in a terminal, plain lines in a pipe.

use std::future::pending;
use std::io::{self, BufRead, IsTerminal, Write};

use rustyline_async::{Readline, ReadlineEvent, SharedWriter};
use tokio::sync::mpsc;

use super::event::ClientEvent;
use super::render::{LineStyle, RenderedLine, render, sanitize};
use super::status::{ChatStatus, DeliveryStatus};
use super::transcript::TranscriptLine;
use crate::model::{Peer, Seq, UserId};

/// Number of lines that are read ahead from a pipe.
const PIPE_BUFFER: usize = 64;

// SGR escape sequences (ECMA-48, section 8.3.117).
const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const MAGENTA: &str = "\x1b[35m";
const CYAN: &str = "\x1b[36m";

/// Standard input and output of the process.
pub struct Terminal {
    user: UserId,
    peer: Peer,
    mode: Mode,
}

enum Mode {
    Interactive {
        readline: Box<Readline>,
        /// Writes above the prompt.
        output: SharedWriter,
    },
    Pipe {
        /// `None` after the last line.
        lines: Option<mpsc::Receiver<String>>,
        /// The delivery that was printed last.
        delivery: Option<(Seq, DeliveryStatus)>,
    },
}

impl Terminal {
    pub fn open(user: UserId, peer: Peer) -> io::Result<Self> {
        let mode = if io::stdin().is_terminal() && io::stdout().is_terminal() {
            open_prompt()?
        } else {
            Mode::Pipe {
                lines: Some(read_pipe()),
                delivery: None,
            }
        };
        Ok(Self { user, peer, mode })
    }

    /// Waits for the next line. Cancel safe.
    pub async fn read_line(&mut self) -> ClientEvent {
        match &mut self.mode {
            Mode::Interactive { readline, .. } => match readline.readline().await {
                Ok(ReadlineEvent::Line(line)) => {
                    readline.add_history_entry(line.clone());
                    ClientEvent::LineEntered(line)
                }
                Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) | Err(_) => ClientEvent::Quit,
            },
            Mode::Pipe { lines, .. } => {
                let Some(receiver) = lines else {
                    return pending().await;
                };
                let line = receiver.recv().await;
                if line.is_none() {
                    *lines = None;
                }
                line.map_or(ClientEvent::Quit, ClientEvent::LineEntered)
            }
        }
    }

    pub fn print(&mut self, lines: &[TranscriptLine]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            let line = render(line, &self.user);
            match self.mode {
                Mode::Interactive { .. } => text.push_str(&colored(&line)),
                Mode::Pipe { .. } => {
                    text.push_str(format!("{} {}", line.head, line.text).trim_end());
                }
            }
            text.push('\n');
        }
        self.write(&text)
    }

    /// Prints a notice, in a pipe to standard error.
    pub fn print_notice(&mut self, notice: &str) -> io::Result<()> {
        let notice = sanitize(notice);
        match self.mode {
            Mode::Interactive { .. } => self.write(&format!("{}\n", dim(&notice))),
            Mode::Pipe { .. } => writeln!(io::stderr(), "{notice}"),
        }
    }

    /// Shows the status in the prompt. A pipe gets a line when the delivery changes.
    pub fn show_status(&mut self, status: ChatStatus) -> io::Result<()> {
        match &mut self.mode {
            Mode::Interactive { readline, .. } => readline
                .update_prompt(&prompt(&self.peer, status))
                .map_err(io::Error::other),
            Mode::Pipe { delivery, .. } => {
                if status.delivery == *delivery {
                    return Ok(());
                }
                *delivery = status.delivery;
                let Some((seq, delivery)) = status.delivery else {
                    return Ok(());
                };
                let (symbol, word) = (delivery.symbol(), delivery.word());
                self.write(&format!("{symbol} {word} {}\n", seq.get()))
            }
        }
    }

    /// Writes out what is buffered and restores the terminal's state.
    pub fn close(&mut self) {
        if let Mode::Interactive { readline, .. } = &mut self.mode {
            let _ = readline.flush();
        }
    }

    /// `text` must end with a newline: the prompt follows on a line of its own.
    fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.mode {
            Mode::Interactive { output, .. } => output.write_all(text.as_bytes()),
            Mode::Pipe { .. } => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.flush()
            }
        }
    }
}

fn open_prompt() -> io::Result<Mode> {
    let (mut readline, output) = Readline::new("> ".to_owned()).map_err(io::Error::other)?;
    // An entered line disappears; the message is displayed once it is stored.
    readline.should_print_line_on(false, false);
    Ok(Mode::Interactive {
        readline: Box::new(readline),
        output,
    })
}

/// Reads standard input in a thread, since a blocking read cannot be cancelled.
fn read_pipe() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(PIPE_BUFFER);
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

fn prompt(peer: &Peer, status: ChatStatus) -> String {
    let mut prompt = String::new();
    if !status.connected {
        prompt.push_str(&dim("offline "));
    }
    if status.unsent > 0 {
        prompt.push_str(&dim(&format!("{} unsent ", status.unsent)));
    }
    if status.peer_is_typing {
        prompt.push_str(&dim(&format!("{peer} is typing… ")));
    }
    if let Some((_, delivery)) = status.delivery {
        let color = match delivery {
            DeliveryStatus::Read => CYAN,
            DeliveryStatus::Sent | DeliveryStatus::Delivered => DIM,
        };
        prompt.extend([color, delivery.symbol(), " ", RESET]);
    }
    prompt + "> "
}

fn colored(line: &RenderedLine) -> String {
    let RenderedLine { style, head, text } = line;
    match style {
        LineStyle::Own => format!("{GREEN}{head}{RESET} {text}"),
        LineStyle::Peer => format!("{MAGENTA}{head}{RESET} {text}"),
        LineStyle::Info => dim(&format!("{head} {text}")),
    }
}

fn dim(text: &str) -> String {
    format!("{DIM}{text}{RESET}")
}
