//! Asking a person: plain lines, so that they can be read without colours, and by screen readers.

use std::io::{self, IsTerminal as _, Write};

use anyhow::{Context as _, bail};
use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::texts::Texts;

/// Bytes of one answer: the longest keys have some hundreds.
const ANSWER_BYTES_MAX: usize = 4096;
/// How often an answer that can't be one is asked for again: whoever is there has seen why by
/// then, and what only looks like a terminal must not be asked for ever.
const ASKED_MAX: usize = 20;

/// Somebody at a terminal.
pub(super) struct Person {
    texts: &'static Texts,
}

impl Person {
    /// If there is one, and they want to be asked.
    pub(super) fn at_terminal(says_yes: bool, texts: &'static Texts) -> Option<Self> {
        let is_there = io::stdin().is_terminal() && io::stdout().is_terminal();
        (is_there && !says_yes).then_some(Self { texts })
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
            let read = io::stdin().read_line(&mut line);
            if read.context(self.texts.no_answer)? == 0 {
                bail!(self.texts.no_answer);
            }
            let answer = match line.trim() {
                "" => usual.unwrap_or_default(),
                answer => answer,
            };
            match check(answer) {
                Ok(()) if answer.len() <= ANSWER_BYTES_MAX => return Ok(answer.to_owned()),
                Ok(()) => writeln!(out, "  {}", self.texts.too_long)?,
                Err(why) => writeln!(out, "  {why}")?,
            }
        }
        bail!((self.texts.asked_in_vain)(&ASKED_MAX.to_string()));
    }

    /// A secret, which is not shown.
    pub(super) fn asked_secretly(
        &mut self,
        question: &Unseen<'_>,
        out: &mut impl Write,
    ) -> anyhow::Result<Unsaid> {
        let how = if question.may_be_none {
            self.texts.unseen_or_none
        } else {
            self.texts.unseen
        };
        let prompt = match question.usual {
            Some(usual) => format!("{} {how} [{usual}]: ", question.text),
            None => format!("{} {how}: ", question.text),
        };
        for _ in 0..ASKED_MAX {
            let answer = unseen_line(&prompt, self.texts, out)?;
            match (answer.trim(), question.usual) {
                ("", Some(_)) => return Ok(Unsaid::Usual),
                ("", None) => writeln!(out, "  {}", self.texts.not_empty)?,
                ("-", _) if question.may_be_none => return Ok(Unsaid::None),
                (answer, _) => return Ok(Unsaid::New(answer.to_owned())),
            }
        }
        bail!((self.texts.asked_in_vain)(&ASKED_MAX.to_string()));
    }

    /// Yes or no.
    pub(super) fn agrees(
        &mut self,
        question: &str,
        usual: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let texts = self.texts;
        let usual = if usual { texts.yes } else { texts.no };
        let check = |answer: &str| match meaning(answer) {
            Some(_) => Ok(()),
            None => Err(texts.yes_or_no.to_owned()),
        };
        let answer = self.asked(question, Some(usual), check, out)?;
        Ok(meaning(&answer).unwrap_or_default())
    }
}

/// A question for a secret.
pub(super) struct Unseen<'a> {
    pub(super) text: &'a str,
    /// What is said of the secret that there is.
    pub(super) usual: Option<&'static str>,
    /// Whether it can be that there is none.
    pub(super) may_be_none: bool,
}

/// What was typed unseen.
pub(super) enum Unsaid {
    /// Nothing: it is what there was.
    Usual,
    /// That there is none.
    None,
    /// Another.
    New(String),
}

/// Yes or no, whichever language somebody's keyboard has just now.
fn meaning(answer: &str) -> Option<bool> {
    match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" | "是" => Some(true),
        "n" | "no" | "否" => Some(false),
        _ => None,
    }
}

/// A line that the terminal does not show. It is read byte by byte, so that Ctrl-C leaves the
/// terminal as it was.
fn unseen_line(
    prompt: &str,
    texts: &'static Texts,
    out: &mut impl Write,
) -> anyhow::Result<String> {
    // Before the prompt: whoever sees it may type at once.
    let _hidden = Hidden::begin().context(texts.no_answer)?;
    write!(out, "{prompt}")?;
    out.flush()?;
    let typed = typed_line(texts);
    writeln!(out)?;
    String::from_utf8(typed?).context(texts.no_answer)
}

fn typed_line(texts: &'static Texts) -> anyhow::Result<Vec<u8>> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: [u8; 2] = [0x08, 0x7f];
    const FORGET: u8 = 0x15;

    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(stdin(), &mut byte))
            .context(texts.no_answer)?;
        let [byte] = byte;
        match byte {
            _ if read == 0 => bail!(texts.no_answer),
            INTERRUPT => bail!(texts.stopped),
            END if line.is_empty() => bail!(texts.no_answer),
            b'\r' | b'\n' => return Ok(line),
            FORGET => line.clear(),
            _ if BACKSPACE.contains(&byte) => drop(line.pop()),
            _ if line.len() < ANSWER_BYTES_MAX => line.push(byte),
            _ => bail!(texts.no_answer),
        }
    }
}

/// While it lives, nothing that is typed is shown.
struct Hidden(Termios);

impl Hidden {
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

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
