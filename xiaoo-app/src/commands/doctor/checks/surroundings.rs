//! What the daemon starts with: its configuration, environment file and unit.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::report::Check;
use super::unit::{self, Unit};
use crate::cli::DoctorArgs;
use crate::config::environment::EnvFile;
use crate::config::{Config, Env, FeishuConfig, locate};

const CONFIG: Words = Words {
    en: "the configuration is complete and right",
    zh: "配置完整且正确",
};
const ENV_FILE: Words = Words {
    en: "the environment file can be read",
    zh: "环境变量文件可读",
};

/// What was found there.
#[derive(Debug)]
pub(in super::super) struct Surroundings {
    /// Where the configuration is.
    pub(in super::super) config_path: PathBuf,
    /// The configuration, if it is right.
    pub(in super::super) config: Option<Config>,
    /// The file with the secrets, if there is one.
    pub(in super::super) env_file: Option<PathBuf>,
}

impl Surroundings {
    /// Looks, and says what is wrong.
    pub(in super::super) fn look(args: &DoctorArgs, env: &dyn Env) -> (Self, Vec<Check>) {
        let config_path = locate(args.config.as_deref(), env);
        let mut checks = Vec::new();
        let unit = Unit::find(args.unit.clone());
        let of_unit = unit.as_ref().map(Unit::env_files).unwrap_or_default();
        let env_files = args.env_file.clone().map_or(of_unit, |named| vec![named]);
        let mut assigned = unit.as_ref().map(Unit::assigned).unwrap_or_default();
        let mut are_read = !env_files.is_empty();
        for path in &env_files {
            match fs::read_to_string(path) {
                Ok(text) => assigned.extend([text.as_str(), "\n"]),
                Err(why) => {
                    are_read = false;
                    let detail = format!("{}: {why}", path.display());
                    let finding = &found::ENV_FILE_UNREADABLE;
                    checks.push(Check::fails("env-file", ENV_FILE, finding, detail));
                }
            }
        }
        let variables = EnvFile::read(&assigned);
        // The file first, and what the shell has where it is silent.
        let both = |name: &str| variables.of_service(name).or_else(|| env.var(name));
        let (mut config, mut check) = load(&config_path, &both);
        // A service has nothing of the shell. What the shell has is for the checks that follow.
        let is_services = unit
            .as_ref()
            .is_some_and(|unit| unit.runs(&config_path) && !unit.passes_others());
        if is_services && are_read {
            let alone = |name: &str| match name {
                // systemd's own gift.
                "HOME" => both(name),
                _ => variables.of_service(name),
            };
            let (of_service, judged) = load(&config_path, &alone);
            config = of_service.or(config);
            check = judged;
        }
        checks.insert(0, check);
        checks.push(unit::judge(unit.as_ref(), &config_path));
        let surroundings = Self {
            config_path,
            config,
            env_file: env_files.into_iter().next(),
        };
        (surroundings, checks)
    }

    /// The bots, as far as they are known.
    pub(in super::super) fn bots(&self) -> &[FeishuConfig] {
        let config = self.config.as_ref();
        config.map_or(&[], |config| &config.channels)
    }
}

fn load(path: &Path, env: &dyn Env) -> (Option<Config>, Check) {
    const ID: &str = "config";
    match Config::load(path, env) {
        Ok((config, _)) if config.channels.is_empty() => {
            let detail = "channels.feishu.enabled must be true";
            let check = Check::fails(ID, CONFIG, &found::CONFIG_WRONG, detail);
            (None, check)
        }
        Ok((config, warnings)) => {
            let mut seen = path.display().to_string();
            for warning in &warnings {
                seen.push_str(&format!("\n           note: {warning}"));
            }
            (Some(config), Check::holds(ID, CONFIG, seen))
        }
        Err(errors) => {
            let is_variable = |message: &str| message.contains("environment variable");
            let all_variables = errors
                .problems
                .iter()
                .all(|problem| is_variable(&problem.message));
            let finding = if all_variables {
                &found::VARIABLE_MISSING
            } else {
                &found::CONFIG_WRONG
            };
            (None, Check::fails(ID, CONFIG, finding, errors.to_string()))
        }
    }
}
