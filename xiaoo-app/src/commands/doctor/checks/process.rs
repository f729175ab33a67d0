//! The daemon among the processes of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The daemon's own default.
const USUAL_PORT: u16 = 18080;
/// Of `/proc/PID/stat`, behind the name: when the process began, in ticks since the boot.
const BEGAN: usize = 19;

/// A daemon that runs.
#[derive(Debug)]
pub(super) struct Process {
    /// Its program, as the system names it.
    pub(super) executable: PathBuf,
    /// Its configuration, as far as its command line names one.
    pub(super) config: Option<PathBuf>,
    /// How long it has run.
    pub(super) age: Option<Duration>,
}

impl Process {
    /// The daemon that listens on this port, as far as command lines tell.
    pub(super) fn at(port: u16) -> Option<Self> {
        let processes = fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|process| {
            let place = process.path();
            let line = fs::read(place.join("cmdline")).ok()?;
            let words: Vec<_> = line
                .split(|byte| *byte == 0)
                .map(String::from_utf8_lossy)
                .collect();
            if port_of_daemon(&words) != Some(port) {
                return None;
            }
            Some(Self {
                executable: fs::read_link(place.join("exe")).ok()?,
                config: value(&words, "--config").map(|path| path_of(&place, path)),
                age: age(&place),
            })
        })
    }
}

/// The port that a daemon with this command line listens on; `None` if it is none.
fn port_of_daemon(words: &[impl AsRef<str>]) -> Option<u16> {
    let name = Path::new(words.first()?.as_ref()).file_name()?;
    let is_daemon = words.iter().any(|word| word.as_ref() == "daemon");
    if name != "xiaoo-app" || !is_daemon {
        return None;
    }
    let is_given = words.iter().any(|word| word.as_ref().starts_with("--port"));
    match value(words, "--port") {
        Some(port) => port.parse().ok(),
        None if is_given => None,
        None => Some(USUAL_PORT),
    }
}

/// What stands behind an option, in either spelling.
fn value<'a>(words: &'a [impl AsRef<str>], option: &str) -> Option<&'a str> {
    let mut words = words.iter().map(AsRef::as_ref);
    let behind = words.find_map(|word| word.strip_prefix(option))?;
    match behind.strip_prefix('=') {
        Some(value) => Some(value),
        None => words.next().filter(|word| !word.is_empty()),
    }
}

/// A path of its command line, as it meant it.
fn path_of(process: &Path, path: &str) -> PathBuf {
    let folder = fs::read_link(process.join("cwd")).unwrap_or_default();
    folder.join(path)
}

fn age(process: &Path) -> Option<Duration> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let began = began(&stat, rustix::param::clock_ticks_per_second())?;
    Duration::try_from_secs_f64(uptime - began).ok()
}

/// Seconds from the boot to the process.
fn began(stat: &str, ticks_per_second: u64) -> Option<f64> {
    // Its name stands in brackets, and may hold anything.
    let (_, behind) = stat.rsplit_once(") ")?;
    let ticks: f64 = behind.split(' ').nth(BEGAN)?.parse().ok()?;
    Some(ticks / ticks_per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemons_port_is_read_in_each_spelling() {
        for (line, port) in [
            ("/opt/xiaoo/bin/xiaoo-app daemon", Some(18080)),
            ("xiaoo-app daemon --config c.toml --port 18081", Some(18081)),
            (
                "xiaoo-app daemon --port=18081 --host 127.0.0.1",
                Some(18081),
            ),
            ("xiaoo-app daemon --port", None),
            ("xiaoo-app doctor --port 18081", None),
            ("other daemon --port 18081", None),
        ] {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(port_of_daemon(&words), port, "{line}");
        }
    }

    #[test]
    fn its_beginning_is_read_whatever_its_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4 1 0 0 0 1 2 0 0 20 0 9 0 12345 1 2 3";
        assert_eq!(began(stat, 100), Some(123.45));
        assert_eq!(began("7 (short) S 1", 100), None);
    }

    #[test]
    fn this_process_has_an_age() {
        let age = age(Path::new("/proc/self")).unwrap();
        assert!(age < Duration::from_secs(24 * 3600), "{age:?}");
    }
}
