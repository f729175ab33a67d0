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

/// An environment file line by line: as systemd reads it, without its rarer escapes, and as a
/// shell does that was told to `export`.
#[derive(Clone, Debug, Default)]
pub struct EnvFile {
    lines: Vec<EnvLine>,
}

/// One line of it.
#[derive(Clone)]
struct EnvLine {
    text: String,
    assigned: Option<Assigned>,
}

#[derive(Clone)]
struct Assigned {
    name: String,
    value: String,
    /// With a word in front that a shell obeys and systemd doesn't know.
    is_exported: bool,
}

impl EnvFile {
    /// The lines of a text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self {
            lines: text.lines().map(EnvLine::read).collect(),
        }
    }

    /// What a service gets for a variable.
    #[must_use]
    pub fn of_service(&self, name: &str) -> Option<String> {
        self.last(name, |assigned| !assigned.is_exported)
    }

    /// What anybody gets for it.
    #[must_use]
    pub fn of_anybody(&self, name: &str) -> Option<String> {
        self.last(name, |_| true)
    }

    fn last(&self, name: &str, counts: impl Fn(&Assigned) -> bool) -> Option<String> {
        let assigned = self.lines.iter().filter_map(|line| line.assigned.as_ref());
        let mut meant = assigned.filter(|assigned| assigned.name == name && counts(assigned));
        meant.next_back().map(|assigned| assigned.value.clone())
    }

    /// Has this line, which assigns to `name`, in the place of the one that counted, else at the
    /// end.
    pub fn put(&mut self, name: &str, line: &str) {
        let is_its = |line: &EnvLine| {
            let assigned = line.assigned.as_ref();
            assigned.is_some_and(|assigned| assigned.name == name)
        };
        let at = self.lines.iter().rposition(is_its);
        let line = EnvLine::read(line);
        match at.and_then(|at| self.lines.get_mut(at)) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
    }

    /// The lines as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines.iter();
        lines.flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}

impl EnvLine {
    fn read(text: &str) -> Self {
        Self {
            assigned: Assigned::read(text),
            text: text.to_owned(),
        }
    }
}

/// Without what it holds: that is mostly a secret.
impl core::fmt::Debug for EnvLine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let assigned = self.assigned.as_ref();
        f.debug_tuple("EnvLine")
            .field(&assigned.map(|assigned| &assigned.name))
            .finish()
    }
}

impl Assigned {
    fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (name, value) = line.split_once('=')?;
        let bare = name.strip_prefix("export ");
        let value = value.trim();
        let inner = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
        let unquoted = inner('\'').or_else(|| inner('"')).unwrap_or(value);
        Some(Self {
            name: bare.unwrap_or(name).trim().to_owned(),
            value: unquoted.to_owned(),
            is_exported: bare.is_some(),
        })
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
    fn an_environment_file_is_read_as_systemd_and_shells_do() {
        let text = "# A=0\nA=1\n B = \"two words\"\n;C=3\nD='x=y'\nnonsense\nE=\nA=2\nAA=3\n\
                    export F='a value'\nG='\n";
        let file = EnvFile::read(text);
        for (name, of_service, of_anybody) in [
            // The last one counts.
            ("A", Some("2"), Some("2")),
            ("B", Some("two words"), Some("two words")),
            ("C", None, None),
            ("D", Some("x=y"), Some("x=y")),
            ("E", Some(""), Some("")),
            ("F", None, Some("a value")),
            ("G", Some("'"), Some("'")),
            ("nonsense", None, None),
        ] {
            assert_eq!(file.of_service(name).as_deref(), of_service, "{name}");
            assert_eq!(file.of_anybody(name).as_deref(), of_anybody, "{name}");
        }
        assert_eq!(file.text(), text);
        assert!(!format!("{file:?}").contains("two words"));
    }

    #[test]
    fn a_line_takes_the_place_of_the_one_that_counted() {
        let mut file = EnvFile::read("A=1\nexport B=2\nA=3");
        for line in ["A=4", "B=5", "C=6"] {
            let (name, _) = line.split_once('=').unwrap();
            file.put(name, line);
        }
        assert_eq!(file.text(), "A=1\nB=5\nA=4\nC=6\n");
    }

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
