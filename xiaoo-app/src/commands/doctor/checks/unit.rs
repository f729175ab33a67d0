//! The systemd unit that starts the daemon, with what `systemctl edit` adds to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::report::Check;
use crate::systemd::unit;

/// Where `systemctl edit` writes, whoever brought the unit.
const OPERATORS: &str = "/etc/systemd/system";

const UNIT: Words = Words {
    en: "the systemd unit starts the daemon with this configuration",
    zh: "systemd 单元用这份配置启动",
};

/// One that is there.
pub(super) struct Unit {
    path: PathBuf,
    /// Of all its files, in the order in which they count.
    text: String,
}

impl Unit {
    /// The one that is named, else the machine's.
    pub(super) fn find(named: Option<PathBuf>) -> Option<Self> {
        let named = named.filter(|path| path.is_file());
        let path = named.or_else(|| unit::installed(Path::new("/")))?;
        let mut text = fs::read_to_string(&path).ok()?;
        for addition in additions(&path) {
            let more = fs::read_to_string(addition).unwrap_or_default();
            text.extend(["\n", &more]);
        }
        // A line may go on in the next one.
        let text = text.replace("\\\n", " ");
        Some(Self { path, text })
    }

    /// What is assigned to a key; an empty value takes back what came before it.
    fn values(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        let assigned = self.text.lines().filter_map(|line| line.split_once('='));
        for (_, value) in assigned.filter(|(name, _)| name.trim() == key) {
            match value.trim() {
                "" => values.clear(),
                value => values.push(value),
            }
        }
        values
    }

    fn config(&self) -> Option<PathBuf> {
        let starts = self.values("ExecStart");
        let mut words = starts.last()?.split_whitespace();
        let behind = words.find_map(|word| word.strip_prefix("--config"))?;
        let named = behind.strip_prefix('=').or_else(|| words.next());
        named.map(PathBuf::from)
    }

    /// Whether the daemon that it starts has this configuration.
    pub(super) fn runs(&self, config: &Path) -> bool {
        self.config().is_some_and(|own| is_same(&own, config))
    }

    /// The files with variables.
    pub(super) fn env_files(&self) -> Vec<PathBuf> {
        let files = self.values("EnvironmentFile").into_iter();
        files
            .map(|file| file.trim_start_matches('-').into())
            .collect()
    }

    /// Whether it hands variables of systemd's own environment on, which nobody sees from here.
    pub(super) fn passes_others(&self) -> bool {
        !self.values("PassEnvironment").is_empty()
    }

    /// The variables that it sets itself, a line for each. The files count before them.
    pub(super) fn assigned(&self) -> String {
        let words = self.values("Environment").into_iter();
        let words = words.flat_map(str::split_whitespace);
        let plain = words.map(|word| word.trim_matches(['"', '\'']));
        plain.flat_map(|assigned| [assigned, "\n"]).collect()
    }
}

/// What is added to a unit beside its own file, in order.
fn additions(unit: &Path) -> Vec<PathBuf> {
    let Some(name) = unit.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let directory = format!("{name}.d");
    let mut places = vec![
        unit.with_file_name(&directory),
        Path::new(OPERATORS).join(&directory),
    ];
    places.dedup();
    let listed = places
        .into_iter()
        .filter_map(|place| fs::read_dir(place).ok());
    let entries = listed.flatten().flatten().map(|entry| entry.path());
    let is_addition = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "conf");
    let mut additions: Vec<_> = entries.filter(is_addition).collect();
    additions.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    additions
}

/// Whether it starts the daemon with this configuration, and with what that needs.
pub(super) fn judge(unit: Option<&Unit>, config: &Path) -> Check {
    const ID: &str = "unit";
    const NO_UNIT: Words = Words {
        en: "no unit is installed here",
        zh: "本机没有安装单元",
    };
    let Some(unit) = unit else {
        return Check::unknown(ID, UNIT, NO_UNIT);
    };
    let path = unit.path.display();
    match unit.config() {
        Some(other) if !is_same(&other, config) => {
            let detail = format!("{path} names {}", other.display());
            Check::fails(ID, UNIT, &found::UNIT_OTHER_CONFIG, detail)
        }
        _ if unit.env_files().is_empty() => {
            Check::fails(ID, UNIT, &found::UNIT_NO_SECRETS, path.to_string())
        }
        _ => Check::holds(ID, UNIT, path.to_string()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_to_a_unit_counts_after_its_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.service");
        let own = "[Service]\nExecStart=/x daemon \\\n --config /a\nEnvironmentFile=-/a.env\n\
                   Environment=A=1 \"B=2\"\n";
        fs::write(&path, own).unwrap();
        let found = || Unit::find(Some(path.clone())).unwrap();
        let unit = found();
        assert!(unit.runs(Path::new("/a")));
        assert_eq!(unit.env_files(), [Path::new("/a.env")]);
        assert_eq!(unit.assigned(), "A=1\nB=2\n");

        let additions = folder.path().join("x.service.d");
        fs::create_dir(&additions).unwrap();
        let put = |name: &str, text: &str| fs::write(additions.join(name), text).unwrap();
        put(
            "b.conf",
            "[Service]\nEnvironmentFile=\nEnvironmentFile=/c.env\n",
        );
        put(
            "a.conf",
            "[Service]\nExecStart=\nExecStart=/x daemon --config=/b\nEnvironmentFile=/b.env\n",
        );
        put("c.txt", "[Service]\nEnvironmentFile=/d.env\n");
        let unit = found();
        assert!(unit.runs(Path::new("/b")));
        assert_eq!(unit.env_files(), [Path::new("/c.env")]);
    }
}
