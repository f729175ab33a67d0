//! The machine: file modes, the running program, the disk, the store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xiaoo_store::{OpenError, StoreError, StoreReader, StoreUrl};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::judged;
use super::super::report::Check;
use super::Judged;
use super::surroundings::Surroundings;
use crate::cli::DoctorArgs;

/// A store's checks may take this long; a large one is left to `store check`.
const STORE_WITHIN: Duration = Duration::from_secs(8);
/// Less free room than this is a matter of hours under load.
const FREE_BYTES_MIN: u64 = 64 << 20;

const MODE: Words = Words {
    en: "only its owner can read the file with the secrets",
    zh: "密钥文件只有所有者可读",
};
const BINARY: Words = Words {
    en: "the running daemon is this program",
    zh: "运行中的守护进程就是当前程序",
};
const DISK: Words = Words {
    en: "there is room on the store's disk",
    zh: "存储所在磁盘有空间",
};
const STORE: Words = Words {
    en: "the store is whole and consistent",
    zh: "存储完整且一致",
};

pub(in super::super) async fn checks(surroundings: &Surroundings, args: &DoctorArgs) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(path) = &surroundings.env_file
        && let Ok(about) = fs::metadata(path)
    {
        checks.push(judged(
            "secrets-file",
            MODE,
            mode(path, about.permissions().mode()),
        ));
    }
    checks.push(binary(args.port));
    if let Some(config) = &surroundings.config {
        let url = &config.store.url;
        if let StoreUrl::Sqlite(path) = url {
            checks.push(disk(path));
        }
        checks.push(store(url.clone()).await);
    }
    checks
}

fn mode(path: &Path, mode: u32) -> Judged {
    const OTHERS: u32 = 0o077;
    let seen = format!("{}: {:04o}", path.display(), mode & 0o7777);
    if mode & OTHERS == 0 {
        Ok(seen)
    } else {
        Err((&found::SECRETS_READABLE, seen))
    }
}

fn binary(port: u16) -> Check {
    const ID: &str = "binary";
    const NONE: Words = Words {
        en: "no daemon with this port is seen among the processes",
        zh: "进程中没有使用该端口的守护进程",
    };
    let Some(link) = executable_of_daemon(port) else {
        return Check::unknown(ID, BINARY, NONE);
    };
    let seen = link.display().to_string();
    if let Some(old) = seen.strip_suffix(" (deleted)") {
        return Check::fails(ID, BINARY, &found::BINARY_REPLACED, old);
    }
    let own = std::env::current_exe().ok();
    let is_same = own.as_deref().is_some_and(|own| is_same_file(own, &link));
    if is_same {
        Check::holds(ID, BINARY, seen)
    } else {
        let own = own.unwrap_or_default();
        let detail = format!("the daemon: {seen}\nthis:       {}", own.display());
        Check::fails(ID, BINARY, &found::BINARY_DIFFERS, detail)
    }
}

fn executable_of_daemon(port: u16) -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let line = fs::read(process.path().join("cmdline")).ok()?;
        let words: Vec<_> = line
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let is_meant = port_of_daemon(&words) == Some(port);
        is_meant.then(|| fs::read_link(process.path().join("exe")).ok())?
    })
}

/// The port that a daemon with this command line listens on; `None` if it is none.
fn port_of_daemon(words: &[impl AsRef<str>]) -> Option<u16> {
    const USUAL_PORT: u16 = 18080;
    let mut words = words.iter().map(AsRef::as_ref);
    let name = Path::new(words.next()?).file_name()?;
    if name != "xiaoo-app" {
        return None;
    }
    words.find(|word| *word == "daemon")?;
    let given = words.find_map(|word| word.strip_prefix("--port"));
    let Some(behind) = given else {
        return Some(USUAL_PORT);
    };
    let port = behind.strip_prefix('=').or_else(|| words.next())?;
    port.parse().ok()
}

/// The same file, or the same bytes.
fn is_same_file(one: &Path, other: &Path) -> bool {
    if fs::canonicalize(one).ok() == fs::canonicalize(other).ok() {
        return true;
    }
    let length = |path: &Path| fs::metadata(path).ok().map(|about| about.len());
    length(one) == length(other) && fs::read(one).ok() == fs::read(other).ok()
}

fn disk(store: &Path) -> Check {
    const ID: &str = "disk";
    const NOT_TOLD: Words = Words {
        en: "the system doesn't tell",
        zh: "系统没有给出",
    };
    let there = store.ancestors().find(|place| place.exists());
    let Some(told) = there.and_then(|place| rustix::fs::statvfs(place).ok()) else {
        return Check::unknown(ID, DISK, NOT_TOLD);
    };
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    let seen = format!("{} MB are free", free >> 20);
    if free < FREE_BYTES_MIN {
        Check::fails(ID, DISK, &found::DISK_FULL, seen)
    } else {
        Check::holds(ID, DISK, seen)
    }
}

/// On a thread of its own: it blocks, and nobody waits for it beyond the limit.
async fn store(url: StoreUrl) -> Check {
    const ID: &str = "store";
    const TOO_LONG: Words = Words {
        en: "it is large; look with xiaoo-app store check",
        zh: "存储较大；请用 xiaoo-app store check 检查",
    };
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(look_through(&url));
    });
    match tokio::time::timeout(STORE_WITHIN, ended).await {
        Ok(Ok(ended)) => judged(ID, STORE, ended),
        Ok(Err(_)) | Err(_) => Check::unknown(ID, STORE, TOO_LONG),
    }
}

fn look_through(url: &StoreUrl) -> Judged {
    if let StoreUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Ok(format!("{url}: not made yet"));
    }
    let reader = StoreReader::open(url).map_err(|error| not_open(&error))?;
    for check in reader.checks() {
        match reader.check(&check) {
            Ok(finding) if finding.count == 0 => {}
            Ok(_) => return Err((&found::STORE_DAMAGED, check.promise.to_owned())),
            Err(StoreError::Corrupt { detail }) => return Err((&found::STORE_DAMAGED, detail)),
            Err(error) => return Err((&found::STORE_UNREACHABLE, error.to_string())),
        }
    }
    Ok(url.to_string())
}

fn not_open(error: &OpenError) -> (&'static found::Finding, String) {
    let finding = if error.is_damage() {
        &found::STORE_DAMAGED
    } else {
        &found::STORE_UNREACHABLE
    };
    (finding, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::port_of_daemon;

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
}
