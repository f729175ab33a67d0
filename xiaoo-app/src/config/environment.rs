//! What the process's surroundings say: variables, and where files belong.

use std::path::{Path, PathBuf};

use xiaoo_store::PostgresUrl;

/// Where variables are looked up; tests pass a closure.
pub trait Env {
    /// The variable's value; `None` when it is not set or not Unicode.
    fn var(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Env for F {
    fn var(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Which file to read: the one that `--config` names, else the one that
/// `XIAOO_CONFIG` names, else `~/.config/xiaoo/config.toml`.
#[must_use]
pub fn locate(flag: Option<&Path>, env: &dyn Env) -> PathBuf {
    if let Some(path) = flag {
        return path.to_path_buf();
    }
    if let Some(path) = not_empty(env, "XIAOO_CONFIG") {
        return PathBuf::from(path);
    }
    base_directory(env, "XDG_CONFIG_HOME", ".config")
        .unwrap_or_default()
        .join("xiaoo/config.toml")
}

/// Where the store is when nobody says: `~/.local/state/xiaoo/xiaoo.db`.
pub(super) fn default_store(env: &dyn Env) -> Option<PathBuf> {
    base_directory(env, "XDG_STATE_HOME", ".local/state").map(|state| state.join("xiaoo/xiaoo.db"))
}

/// The url with the password that PostgreSQL's own programs would use, unless it has
/// one.
#[must_use]
pub fn with_usual_password(url: PostgresUrl, env: &dyn Env) -> PostgresUrl {
    match not_empty(env, "PGPASSWORD") {
        Some(password) if !url.has_password() => url.with_password(&password),
        Some(_) | None => url,
    }
}

/// `written` as an absolute path, if `directory` is one.
pub(super) fn resolve(written: &str, directory: &Path, env: &dyn Env) -> PathBuf {
    match (written.strip_prefix("~/"), home(env)) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => directory.join(written),
    }
}

/// The XDG base directory specification: an unset, empty or relative value
/// means the default.
fn base_directory(env: &dyn Env, variable: &str, default: &str) -> Option<PathBuf> {
    not_empty(env, variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home(env).map(|home| home.join(default)))
}

/// The home directory, if there is one.
pub(crate) fn home(env: &dyn Env) -> Option<PathBuf> {
    not_empty(env, "HOME").map(PathBuf::from)
}

fn not_empty(env: &dyn Env, name: &str) -> Option<String> {
    env.var(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_by_flag_then_variable_then_home() {
        let full = |name: &str| match name {
            "XIAOO_CONFIG" => Some("/etc/x.toml".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        let home_only = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let xdg = |name: &str| match name {
            "HOME" => Some("/home/me".to_owned()),
            "XDG_CONFIG_HOME" => Some("/cfg".to_owned()),
            _ => None,
        };
        let found = |flag: Option<&str>, env: &dyn Env| locate(flag.map(Path::new), env);
        assert_eq!(found(Some("a.toml"), &full), Path::new("a.toml"));
        assert_eq!(found(None, &full), Path::new("/etc/x.toml"));
        assert_eq!(
            found(None, &home_only),
            Path::new("/home/me/.config/xiaoo/config.toml")
        );
        assert_eq!(found(None, &xdg), Path::new("/cfg/xiaoo/config.toml"));
    }

    #[test]
    fn written_paths_are_relative_to_the_file() {
        let env = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let directory = Path::new("/opt/xiaoo/config");
        for (written, resolved) in [
            ("/abs", "/abs"),
            ("../app", "/opt/xiaoo/config/../app"),
            ("~/app", "/home/me/app"),
            ("~other", "/opt/xiaoo/config/~other"),
        ] {
            assert_eq!(resolve(written, directory, &env), Path::new(resolved));
        }
    }
}
