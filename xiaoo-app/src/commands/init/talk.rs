//! The conversation with whoever runs `init`: what is said, and what is asked where somebody can
//! be asked.

use std::io::Write;

use anyhow::bail;

use super::answers::{Answer, Origin, Secret, Variable};
use super::terminal::{Person, Unsaid, Unseen};
use super::texts::{self, Texts};
use crate::render::language::Language;

/// One conversation.
pub(super) struct Talk<'a, W> {
    pub(super) texts: &'static Texts,
    person: Option<Person>,
    out: &'a mut W,
}

impl<'a, W: Write> Talk<'a, W> {
    /// With a person, if there is one who wants to be asked.
    pub(super) fn begin(language: Language, says_yes: bool, out: &'a mut W) -> Self {
        let texts = texts::of(language);
        Self {
            texts,
            person: Person::at_terminal(says_yes, texts),
            out,
        }
    }

    pub(super) fn has_person(&self) -> bool {
        self.person.is_some()
    }

    /// Says a line.
    pub(super) fn says(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    /// Says a line or several about the answer that was just given.
    pub(super) fn adds(&mut self, lines: &str) -> anyhow::Result<()> {
        for line in lines.lines() {
            writeln!(self.out, "  {line}")?;
        }
        Ok(())
    }

    /// What was said is seen.
    pub(super) fn ends(&mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        Ok(())
    }

    /// Asks for one answer, unless it was given; without a person it must be right as it is.
    pub(super) fn asks(
        &mut self,
        answer: &mut Answer,
        question: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<()> {
        if let Some(person) = &mut self.person
            && !answer.is_given
        {
            let usual = answer.value.as_deref().filter(|usual| !usual.is_empty());
            let said = person.asked(question, usual, check, self.out)?;
            answer.set(said);
        } else if let Err(why) = check(answer.text()) {
            bail!("{question}: {:?}: {why}", answer.text());
        }
        Ok(())
    }

    /// Asks for a secret that there must be.
    pub(super) fn asks_secretly(
        &mut self,
        secret: &mut Secret,
        question: &str,
    ) -> anyhow::Result<()> {
        self.asks_unseen(secret, question, false)
    }

    /// Asks for a secret that there need not be: whether there is one, unless that is known.
    pub(super) fn asks_secretly_if_any(
        &mut self,
        variable: &mut Variable,
        whether: &str,
        question: &str,
    ) -> anyhow::Result<()> {
        let secret = &mut variable.secret;
        let is_known = secret.value.is_some();
        if is_known || self.agrees(whether, variable.is_named)? == Some(true) {
            self.asks_unseen(secret, question, is_known)?;
        }
        // Whoever was asked has said that there is none; where nobody was, the name stands.
        if self.has_person() && secret.value.is_none() {
            variable.is_named = false;
        }
        Ok(())
    }

    fn asks_unseen(
        &mut self,
        secret: &mut Secret,
        question: &str,
        may_be_none: bool,
    ) -> anyhow::Result<()> {
        let Some(person) = &mut self.person else {
            return Ok(());
        };
        if secret.is_given {
            return Ok(());
        }
        let from = match secret.origin {
            Origin::Known => self.texts.as_it_is,
            Origin::Environment => self.texts.from_environment,
        };
        let question = Unseen {
            text: question,
            usual: secret.value.as_ref().map(|_| from),
            may_be_none,
        };
        match person.asked_secretly(&question, self.out)? {
            Unsaid::Usual => {}
            Unsaid::None => secret.set(None),
            Unsaid::New(value) => secret.set(Some(value)),
        }
        Ok(())
    }

    /// Yes or no; `None` where there is nobody to ask.
    pub(super) fn agrees(&mut self, question: &str, usual: bool) -> anyhow::Result<Option<bool>> {
        match &mut self.person {
            Some(person) => person.agrees(question, usual, self.out).map(Some),
            None => Ok(None),
        }
    }
}
