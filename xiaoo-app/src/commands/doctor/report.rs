//! What was checked, and how it reads.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::findings::{Finding, Words};
use crate::render::language::Language;

/// How a check ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All is well; what was seen.
    Holds(String),
    /// Something is wrong.
    Fails(&'static Finding, String),
    /// It can't be known from here, and why.
    Unknown(Words),
}

/// One check that was made.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// The bot that it is about, where there are several.
    pub about: Option<String>,
    /// What was tried.
    pub tried: Words,
    /// How it ended.
    pub outcome: Outcome,
}

impl Check {
    /// A check that holds.
    pub fn holds(id: &'static str, tried: Words, seen: impl Into<String>) -> Self {
        Self::new(id, tried, Outcome::Holds(seen.into()))
    }

    /// A check that found something.
    pub fn fails(
        id: &'static str,
        tried: Words,
        finding: &'static Finding,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(id, tried, Outcome::Fails(finding, detail.into()))
    }

    /// A check that could not be made.
    pub fn unknown(id: &'static str, tried: Words, why: Words) -> Self {
        Self::new(id, tried, Outcome::Unknown(why))
    }

    fn new(id: &'static str, tried: Words, outcome: Outcome) -> Self {
        Self {
            id,
            about: None,
            tried,
            outcome,
        }
    }

    /// The same, of one bot of several.
    #[must_use]
    pub fn about(mut self, bot: Option<&str>) -> Self {
        self.about = bot.map(str::to_owned);
        self
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Fails(..))
    }
}

/// Where links lead, and in which language all is said.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The language.
    pub language: Language,
    /// The platform's address.
    pub base_url: String,
    /// The app's id, or what stands for it.
    pub app_id: String,
}

impl Reader {
    /// Writes one check for people.
    ///
    /// # Errors
    /// When `out` can't be written to.
    pub fn write(&self, check: &Check, out: &mut impl Write) -> io::Result<()> {
        let language = self.language;
        let mark = match check.outcome {
            Outcome::Holds(_) => language.pick("正常", "ok"),
            Outcome::Fails(..) => language.pick("失败", "FAILED"),
            Outcome::Unknown(_) => language.pick("未知", "unknown"),
        };
        write!(out, "{mark:<8} {}", check.tried.in_language(language))?;
        if let Some(about) = &check.about {
            write!(out, " [{about}]")?;
        }
        match &check.outcome {
            Outcome::Holds(seen) if seen.is_empty() => writeln!(out),
            Outcome::Holds(seen) => writeln!(out, ": {seen}"),
            Outcome::Unknown(why) => writeln!(out, ": {}", why.in_language(language)),
            Outcome::Fails(finding, detail) => {
                writeln!(out, ": {}", finding.title.in_language(language))?;
                for line in detail.lines() {
                    writeln!(out, "           {line}")?;
                }
                self.write_help(finding, out)
            }
        }
    }

    /// Cause, fix and link of a finding.
    ///
    /// # Errors
    /// When `out` can't be written to.
    pub fn write_help(&self, finding: &Finding, out: &mut impl Write) -> io::Result<()> {
        let language = self.language;
        let cause = finding.cause.in_language(language);
        let fix = finding.fix.in_language(language);
        writeln!(out, "  {} {cause}", language.pick("原因：", "cause:  "))?;
        writeln!(out, "  {} {fix}", language.pick("办法：", "fix:    "))?;
        if let Some(link) = finding.page.link(&self.base_url, &self.app_id) {
            writeln!(out, "  {} {link}", language.pick("后台：", "console:"))?;
        }
        writeln!(
            out,
            "  {} {}",
            language.pick("名称：", "name:   "),
            finding.id
        )
    }

    /// The same for machines.
    #[must_use]
    pub fn json(&self, check: &Check) -> Value {
        let language = self.language;
        let mut value = json!({
            "id": check.id,
            "about": check.about,
            "tried": check.tried.in_language(language),
        });
        let more = match &check.outcome {
            Outcome::Holds(seen) => json!({"outcome": "holds", "detail": seen}),
            Outcome::Unknown(why) => {
                json!({"outcome": "unknown", "detail": why.in_language(language)})
            }
            Outcome::Fails(finding, detail) => json!({
                "outcome": "fails",
                "finding": finding.id,
                "detail": detail,
                "title": finding.title.in_language(language),
                "cause": finding.cause.in_language(language),
                "fix": finding.fix.in_language(language),
                "link": finding.page.link(&self.base_url, &self.app_id),
            }),
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    }
}
