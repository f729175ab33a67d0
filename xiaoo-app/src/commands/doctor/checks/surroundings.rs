//! What the daemon starts with: its configuration, environment file and unit.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::report::Check;
use crate::cli::DoctorArgs;
use crate::config::environment::EnvFile;
use crate::config::{Config, ConfigErrors, Env, FeishuConfig, locate};
use crate::systemd::unit;

const CONFIG: Words = Words {
    en: "the configuration is complete and right",
    zh: "配置完整且正确",
};
const UNIT: Words = Words {
    en: "the systemd unit starts the daemon with this configuration",
    zh: "systemd 单元用这份配置启动",
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
        let unit = Unit::find(args);
        let named = args.env_file.clone();
        let env_file = named.or_else(|| unit.as_ref().and_then(|unit| unit.env_file.clone()));
        let (mut variables, mut was_read) = (EnvFile::default(), false);
        if let Some(path) = &env_file {
            match fs::read_to_string(path) {
                Ok(text) => (variables, was_read) = (EnvFile::read(&text), true),
                Err(why) => {
                    let detail = format!("{}: {why}", path.display());
                    let finding = &found::ENV_FILE_UNREADABLE;
                    checks.push(Check::fails("env-file", ENV_FILE, finding, detail));
                }
            }
        }
        // As a service's: the file first, and what the shell has where it is silent.
        let both = |name: &str| variables.of_service(name).or_else(|| env.var(name));
        let (config, check) = load(&config_path, &both);
        checks.insert(0, check);
        // What this shell has, a service has not.
        let missing = unit.as_ref().and_then(|unit| {
            let service = |name: &str| variables.of_service(name).or_else(|| unit.sets(name));
            let is_known = was_read && unit.env_file == env_file && unit.tells_all;
            (config.is_some() && is_known).then(|| Config::load(&config_path, &service).err())?
        });
        checks.push(judge_unit(unit.as_ref(), &config_path, missing));
        let surroundings = Self {
            config_path,
            config,
            env_file,
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

struct Unit {
    path: PathBuf,
    config: Option<PathBuf>,
    env_file: Option<PathBuf>,
    /// What it sets itself: the values of `Environment=`.
    environment: Vec<String>,
    /// Whether nothing else gives the service variables.
    tells_all: bool,
}

impl Unit {
    /// The one that --unit names, else the machine's.
    fn find(args: &DoctorArgs) -> Option<Self> {
        let named = args.unit.clone().filter(|path| path.is_file());
        let path = named.or_else(|| unit::installed(Path::new("/")))?;
        let text = fs::read_to_string(&path).ok()?;
        let value = |key: &str| {
            let mut lines = text.lines().map(str::trim);
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let start = value("ExecStart").unwrap_or_default();
        let mut words = start.split_whitespace();
        let config = words
            .find_map(|word| word.strip_prefix("--config"))
            .and_then(|behind| behind.strip_prefix('=').or_else(|| words.next()));
        let all = |key: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim);
            let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            values.map(str::to_owned).collect()
        };
        // What an operator adds by `systemctl edit` may be anything.
        let mut more = path.clone().into_os_string();
        more.push(".d");
        let has_more = Path::new(&more).exists();
        let others = ["PassEnvironment", "LoadCredential", "SetCredential"];
        let tells_all = !has_more
            && all("EnvironmentFile").len() == 1
            && others.iter().all(|other| all(other).is_empty());
        Some(Self {
            config: config.map(PathBuf::from),
            env_file: value("EnvironmentFile").map(|file| file.trim_start_matches('-').into()),
            environment: all("Environment"),
            tells_all,
            path,
        })
    }

    /// What the unit itself sets a variable to.
    fn sets(&self, name: &str) -> Option<String> {
        let words = self
            .environment
            .iter()
            .flat_map(|line| line.split_whitespace());
        let mut values = words.filter_map(|word| {
            let word = word.trim_matches(['"', '\'']);
            word.strip_prefix(name)?.strip_prefix('=')
        });
        values.next_back().map(str::to_owned)
    }
}

fn judge_unit(unit: Option<&Unit>, config: &Path, missing: Option<ConfigErrors>) -> Check {
    const ID: &str = "unit";
    const NO_UNIT: Words = Words {
        en: "no unit is installed here",
        zh: "本机没有安装单元",
    };
    let Some(unit) = unit else {
        return Check::unknown(ID, UNIT, NO_UNIT);
    };
    let same = |other: &PathBuf| {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        real(other) == real(config)
    };
    let path = unit.path.display();
    match (&unit.config, &unit.env_file, missing) {
        (Some(other), _, _) if !same(other) => {
            let detail = format!("{path} names {}", other.display());
            Check::fails(ID, UNIT, &found::UNIT_OTHER_CONFIG, detail)
        }
        (_, None, _) => Check::fails(ID, UNIT, &found::UNIT_NO_SECRETS, path.to_string()),
        (_, Some(file), Some(missing)) => {
            let file = file.display();
            let detail = format!("{path} takes variables from {file} alone:\n{missing}");
            Check::fails(ID, UNIT, &found::VARIABLE_MISSING, detail)
        }
        (_, Some(_), None) => Check::holds(ID, UNIT, path.to_string()),
    }
}
