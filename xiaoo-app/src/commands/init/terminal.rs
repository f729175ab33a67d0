//! Asking a person: plain lines, so that they can be read without colours, and by screen readers.

use std::io::{self, IsTerminal as _, Write};

use anyhow::{Context as _, bail};
use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// Bytes of one answer: the longest keys have some hundreds.
const ANSWER_BYTES_MAX: usize = 4096;
/// How often an answer that can't be one is asked for again: whoever is there has seen why by
/// then, and what only looks like a terminal must not be asked for ever.
const ASKED_MAX: usize = 20;

/// Somebody at a terminal.
pub(super) struct Person(());

impl Person {
    /// If there is one, and they want to be asked.
    pub(super) fn at_terminal(says_yes: bool) -> Option<Self> {
        let is_there = io::stdin().is_terminal() && io::stdout().is_terminal();
        (is_there && !says_yes).then_some(Self(()))
    }

    /// An answer that `check` takes; an empty line is `usual`.
    pub(super) fn asked(
        &mut self,
        question: &str,
        usual: Option<&str>,
        check: impl Fn(&str) -> Result<(), String>,
        out: &mut impl Write,
    ) -> anyhow::Result<String> {
        for _ in 0..ASKED_MAX {
            match usual {
                Some(usual) => write!(out, "{question} [{usual}]: ")?,
                None => write!(out, "{question}: ")?,
            }
            out.flush()?;
            let mut line = String::new();
            if io::stdin()
                .read_line(&mut line)
                .context("no answer can be read")?
                == 0
            {
                bail!("no answer came; nothing was written");
            }
            let answer = match line.trim() {
                "" => usual.unwrap_or_default(),
                answer => answer,
            };
            match check(answer) {
                Ok(()) if answer.len() <= ANSWER_BYTES_MAX => return Ok(answer.to_owned()),
                Ok(()) => writeln!(out, "  That is too long.")?,
                Err(why) => writeln!(out, "  {why}")?,
            }
        }
        bail!("asked {ASKED_MAX} times; nothing was written");
    }

    /// A secret, which is not shown; an empty line is what there was.
    pub(super) fn asked_secretly(
        &mut self,
        question: &str,
        usual: Option<(String, &'static str)>,
        out: &mut impl Write,
    ) -> anyhow::Result<String> {
        for _ in 0..ASKED_MAX {
            let prompt = match &usual {
                Some((_, from)) => format!("{question} (not shown) [{from}]: "),
                None => format!("{question} (not shown): "),
            };
            let answer = unseen_line(&prompt, out)?;
            match (answer.trim(), &usual) {
                ("", Some((usual, _))) => return Ok(usual.clone()),
                ("", None) => writeln!(out, "  It cannot be empty.")?,
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
        bail!("asked {ASKED_MAX} times; nothing was written");
    }

    /// Yes or no.
    pub(super) fn agrees(
        &mut self,
        question: &str,
        usual: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let usual = if usual { "yes" } else { "no" };
        let answer = self.asked(
            question,
            Some(usual),
            |answer| match answer.to_ascii_lowercase().as_str() {
                "y" | "yes" | "n" | "no" => Ok(()),
                _ => Err("Please answer yes or no.".to_owned()),
            },
            out,
        )?;
        Ok(answer.to_ascii_lowercase().starts_with('y'))
    }
}

/// A line that the terminal does not show. It is read byte by byte, so that Ctrl-C leaves the
/// terminal as it was.
fn unseen_line(prompt: &str, out: &mut impl Write) -> anyhow::Result<String> {
    // Before the prompt: whoever sees it may type at once.
    let _unseen = Unseen::begin().context("the terminal cannot hide what is typed")?;
    write!(out, "{prompt}")?;
    out.flush()?;
    let typed = typed_line();
    writeln!(out)?;
    String::from_utf8(typed?).context("the answer is not text")
}

fn typed_line() -> anyhow::Result<Vec<u8>> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: [u8; 2] = [0x08, 0x7f];
    const FORGET: u8 = 0x15;

    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(stdin(), &mut byte))
            .context("no answer can be read")?;
        let [byte] = byte;
        match byte {
            _ if read == 0 => bail!("no answer came; nothing was written"),
            INTERRUPT => bail!("stopped; nothing was written"),
            END if line.is_empty() => bail!("no answer came; nothing was written"),
            b'\r' | b'\n' => return Ok(line),
            FORGET => line.clear(),
            _ if BACKSPACE.contains(&byte) => drop(line.pop()),
            _ if line.len() < ANSWER_BYTES_MAX => line.push(byte),
            _ => bail!("the answer is too long; nothing was written"),
        }
    }
}

/// While it lives, nothing that is typed is shown.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
