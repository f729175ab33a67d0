//! Sections and the environment to a checked configuration.
//!
//! Each check reports what it finds and returns what it could make; the result
//! counts only when nothing was reported.

mod agents;
mod feishu;
mod llm;
mod store;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use xiaoo_store::StoreUrl;

use super::environment::{self, Env};
use super::problem::{ConfigErrors, Report, Warning};
use super::section::{Section, Spot};
use super::source::Source;
use super::{BudgetConfig, Config, HttpConfig, InForce, LimitsConfig, Price, SkillsConfig};

pub(super) fn check(
    source: &Source<'_>,
    env: &dyn Env,
) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let mut report = Report::new(source.path);
    let Some(table) = source.parse(&mut report) else {
        return Err(report.into_errors());
    };
    let root = Section::root(source, &table);
    root.walk(&mut report);
    root.demand_required(&mut report);

    let mut checker = Checker::new(source, env, report);
    let config = checker.config(&root);
    let report = checker.report;
    match config {
        Some(config) if !report.has_errors() => Ok((config, report.into_warnings())),
        _ => Err(report.into_errors()),
    }
}

/// The store alone, and what says where it is.
pub(super) fn check_store(source: &Source<'_>, env: &dyn Env) -> Result<StoreUrl, ConfigErrors> {
    let mut report = Report::new(source.path);
    let Some(table) = source.parse(&mut report) else {
        return Err(report.into_errors());
    };
    let root = Section::root(source, &table);
    let (agents, store) = (root.section("agents"), root.section("store"));
    agents.walk(&mut report);
    store.walk(&mut report);

    let mut checker = Checker::new(source, env, report);
    let agents = checker.agents(&agents);
    match checker.store(&store, agents.first()) {
        Some(store) if !checker.report.has_errors() => Ok(store.url),
        _ => Err(checker.report.into_errors()),
    }
}

/// The store of each bot alone, by the bots' names.
pub(super) fn check_stores(
    source: &Source<'_>,
    env: &dyn Env,
) -> Result<Vec<(String, StoreUrl)>, ConfigErrors> {
    let url = check_store(source, env)?;
    let mut report = Report::new(source.path);
    let Some(table) = source.parse(&mut report) else {
        return Err(report.into_errors());
    };
    let feishu = Section::root(source, &table)
        .section("channels")
        .section("feishu");
    let mut checker = Checker::new(source, env, report);
    let names: Vec<String> = feishu::bots(&feishu)
        .iter()
        .map(|bot| checker.instance(bot))
        .collect();
    if checker.report.has_errors() {
        return Err(checker.report.into_errors());
    }
    let stores = names.into_iter().enumerate().map(|(at, name)| {
        let url = super::store_of_bot(&url, at == 0, &name);
        (name, url)
    });
    Ok(stores.collect())
}

/// The workspace and the directories of skills alone.
pub(super) fn check_skills(
    source: &Source<'_>,
    env: &dyn Env,
) -> Result<(Option<PathBuf>, SkillsConfig), ConfigErrors> {
    let mut report = Report::new(source.path);
    let Some(table) = source.parse(&mut report) else {
        return Err(report.into_errors());
    };
    let root = Section::root(source, &table);
    let (agents, skills) = (root.section("agents"), root.section("skills"));
    agents.walk(&mut report);
    skills.walk(&mut report);

    let mut checker = Checker::new(source, env, report);
    let agent = checker.agents(&agents).into_iter().next();
    let skills = checker.skills(&skills);
    match agent {
        Some(agent) if !checker.report.has_errors() => Ok((agent.workspace, skills)),
        _ => Err(checker.report.into_errors()),
    }
}

struct Checker<'a> {
    env: &'a dyn Env,
    /// Of the file; relative paths start here.
    directory: &'a Path,
    report: Report,
    /// The models that have one so far.
    prices: Vec<(String, Price)>,
}

impl<'a> Checker<'a> {
    fn new(source: &Source<'a>, env: &'a dyn Env, report: Report) -> Self {
        Self {
            env,
            directory: source.path.parent().unwrap_or_else(|| Path::new("")),
            report,
            prices: Vec::new(),
        }
    }

    fn config(&mut self, root: &Section<'_>) -> Option<Config> {
        let llm = self.llm(&root.section("llm"));
        let channels = root.section("channels");
        let agents = self.agents(&root.section("agents"));
        let channels = self.channels(&channels.section("feishu"), &agents);
        let skills = self.skills(&root.section("skills"));
        let tools = self.tools(&root.section("tools"));
        let limits = limits(&root.section("limits"));
        let http = self.http(&root.section("http"));
        let store = self.store(&root.section("store"), agents.first());
        Some(Config {
            llm: llm?,
            channels: channels?,
            agents,
            skills,
            tools,
            store: store?,
            limits,
            http,
            in_force: InForce::of(root),
        })
    }

    fn skills(&mut self, section: &Section<'_>) -> SkillsConfig {
        let written = section.texts("dirs");
        SkillsConfig {
            dirs: written.iter().map(|dir| self.resolve(dir.value)).collect(),
            home: environment::home(self.env),
        }
    }

    fn http(&mut self, section: &Section<'_>) -> HttpConfig {
        HttpConfig {
            bearer_token: self.secret(section, "bearer_token_env", KEY_BYTES_MAX),
            metrics: section.flag("metrics"),
            dashboard: section.flag("dashboard"),
        }
    }

    /// What the variable holds that the key names. Whoever mistakes the key for
    /// the place of the secret itself must not find it in the log.
    fn secret(
        &mut self,
        section: &Section<'_>,
        name: &str,
        bytes_max: usize,
    ) -> Option<SecretString> {
        let written = section.text(name)?;
        self.variable(&written, bytes_max)
    }

    /// What the variable of that name holds.
    fn variable(&mut self, written: &Spot<&str>, bytes_max: usize) -> Option<SecretString> {
        let variable = written.value;
        if !is_variable_name(variable) || looks_like_a_secret(variable) {
            let message = "must be the name of an environment variable, such as \
                           FEISHU_APP_SECRET, not the secret itself";
            self.error(written, message);
            return None;
        }
        let Some(value) = self.env.var(variable) else {
            let message = format!("the environment variable {variable} is not set");
            self.error(written, message);
            return None;
        };
        let trimmed = value.trim();
        if trimmed.is_empty() {
            let message = format!("the environment variable {variable} is empty");
            self.error(written, message);
            return None;
        }
        if trimmed.len() > bytes_max {
            let message = format!("the value of {variable} is longer than {bytes_max} bytes");
            self.error(written, message);
            return None;
        }
        if trimmed.len() != value.len() {
            let message = format!("the value of {variable} has blanks around it; left out");
            self.warn(written, message);
        }
        Some(SecretString::from(trimmed))
    }

    /// An absolute `http` or `https` URL without a slash at its end.
    fn url(&mut self, written: &Spot<&str>) -> Option<String> {
        let text = written.value.trim_end_matches('/');
        let is_good = Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !is_good {
            // Not shown: it may hold a password.
            let message = "must be a URL such as https://host/path, without user, query or `#`";
            self.error(written, message);
        }
        is_good.then(|| text.to_owned())
    }

    fn not_blank(&mut self, written: Spot<&str>) -> Option<String> {
        let text = written.value.trim();
        if text.is_empty() {
            self.error(&written, "must not be empty");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn path(&mut self, section: &Section<'_>, name: &str) -> Option<PathBuf> {
        let written = section.text(name)?;
        self.not_blank(written).map(|path| self.resolve(&path))
    }

    fn resolve(&self, written: &str) -> PathBuf {
        environment::resolve(written, self.directory, self.env)
    }

    fn error<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        self.report.error(spot, message);
    }

    fn warn<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        self.report.warn(spot, message);
    }
}

/// Names become parts of ids and file names.
const NAME_BYTES_MAX: usize = 64;
/// Keys travel in one header line, and servers take 8 KiB of those; a whole
/// file pasted into a variable is no key.
const KEY_BYTES_MAX: usize = 8 << 10;

fn limits(section: &Section<'_>) -> LimitsConfig {
    let count = |name| section.count(name);
    LimitsConfig {
        max_concurrent_turns: usize::try_from(count("max_concurrent_turns")).unwrap_or(usize::MAX),
        turn_timeout: Duration::from_secs(count("turn_timeout_secs")),
        max_steps: small(Some(count("max_steps"))).unwrap_or(u32::MAX),
        max_queue_per_conversation: count("max_queue_per_conversation"),
        max_queue: count("max_queue"),
        message_age_max: section
            .optional_count("message_age_max_secs")
            .map(Duration::from_secs),
        late_notice: section.choice("late_messages") == "notice",
        ack_deadline: Duration::from_millis(count("ack_deadline_ms")),
        shutdown_grace: Duration::from_secs(count("shutdown_grace_secs")),
        person_per_day: BudgetConfig {
            turns: section.optional_count("person_turns_per_day"),
            tokens: section.optional_count("person_tokens_per_day"),
        },
        chat_per_day: BudgetConfig {
            turns: section.optional_count("chat_turns_per_day"),
            tokens: section.optional_count("chat_tokens_per_day"),
        },
        file_bytes_max: count("file_mb").saturating_mul(MEGABYTE),
        conversation_bytes_max: count("conversation_mb").saturating_mul(MEGABYTE),
    }
}

/// What operators mean by it when they write a limit.
const MEGABYTE: u64 = 1 << 20;

/// The schema keeps these counts below `u32::MAX`.
fn small(count: Option<u64>) -> Option<u32> {
    count.and_then(|count| u32::try_from(count).ok())
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// App secrets and keys are long, without underscores, and have digits; names
/// of variables are not.
fn looks_like_a_secret(name: &str) -> bool {
    name.len() >= 16 && !name.contains('_') && name.bytes().any(|byte| byte.is_ascii_digit())
}
