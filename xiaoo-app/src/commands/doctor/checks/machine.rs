//! The machine: file modes, the running program, the disk, the store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::timeout;
use xiaoo_store::{OpenError, StoreError, StoreReader, StoreUrl};

use super::super::findings as found;
use super::super::findings::Words;
use super::super::judged;
use super::super::report::Check;
use super::Judged;
use super::process::Process;
use super::surroundings::Surroundings;
use crate::cli::DoctorArgs;

/// To open a store is a few reads, or a few questions to a server.
const OPEN_WITHIN: Duration = Duration::from_secs(4);
/// A store's checks may take this long; a large one is left to `store check`.
const STORE_WITHIN: Duration = Duration::from_secs(8);
/// A daemon has read its files so soon, and files have times of their own.
const STARTS_WITHIN: Duration = Duration::from_secs(2);
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
const SETTINGS: Words = Words {
    en: "the daemon runs with the settings that are written",
    zh: "守护进程使用的是当前的设置",
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
    let daemon = Process::at(args.port);
    checks.push(binary(daemon.as_ref()));
    if let Some(daemon) = &daemon {
        checks.extend(settings(daemon, surroundings));
    }
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

fn binary(daemon: Option<&Process>) -> Check {
    const ID: &str = "binary";
    const NONE: Words = Words {
        en: "no daemon with this port is seen among the processes",
        zh: "进程中没有使用该端口的守护进程",
    };
    let Some(daemon) = daemon else {
        return Check::unknown(ID, BINARY, NONE);
    };
    let seen = daemon.executable.display().to_string();
    if let Some(old) = seen.strip_suffix(" (deleted)") {
        return Check::fails(ID, BINARY, &found::BINARY_REPLACED, old);
    }
    let own = std::env::current_exe().ok();
    let is_same = own
        .as_deref()
        .is_some_and(|own| is_same_file(own, &daemon.executable));
    if is_same {
        Check::holds(ID, BINARY, seen)
    } else {
        let own = own.unwrap_or_default();
        let detail = format!("the daemon: {seen}\nthis:       {}", own.display());
        Check::fails(ID, BINARY, &found::BINARY_DIFFERS, detail)
    }
}

/// Whether its files are older than the daemon; nothing is said of a daemon with other files.
fn settings(daemon: &Process, surroundings: &Surroundings) -> Option<Check> {
    let config = &surroundings.config_path;
    let its_own = daemon.config.as_deref()?;
    if fs::canonicalize(its_own).ok()? != fs::canonicalize(config).ok()? {
        return None;
    }
    let began = SystemTime::now().checked_sub(daemon.age?)?;
    let is_newer = |path: &&Path| {
        let changed = fs::metadata(path).and_then(|about| about.modified());
        changed.is_ok_and(|changed| changed > began + STARTS_WITHIN)
    };
    let files = [Some(config.as_path()), surroundings.env_file.as_deref()];
    let newer: Vec<_> = files.into_iter().flatten().filter(is_newer).collect();
    let lines = newer.iter().map(|path| path.display().to_string());
    let ended = match newer.is_empty() {
        true => Ok(String::new()),
        false => Err((&found::NOT_RESTARTED, lines.collect::<Vec<_>>().join("\n"))),
    };
    Some(judged("settings", SETTINGS, ended))
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
    let place = url.to_string();
    let (say_open, is_open) = oneshot::channel();
    let (done, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let opened = open(&url);
        let _ = say_open.send(());
        let _ = done.send(opened.and_then(|reader| look_through(reader, &url)));
    });
    if timeout(OPEN_WITHIN, is_open).await.is_err() {
        let waited = OPEN_WITHIN.as_secs();
        let detail = format!("{place}: no answer for {waited} s");
        return Check::fails(ID, STORE, &found::STORE_UNREACHABLE, detail);
    }
    match timeout(STORE_WITHIN, ended).await {
        Ok(Ok(ended)) => judged(ID, STORE, ended),
        Ok(Err(_)) | Err(_) => Check::unknown(ID, STORE, TOO_LONG),
    }
}

/// The store; `None` if no daemon has made it yet.
fn open(url: &StoreUrl) -> Result<Option<StoreReader>, (&'static found::Finding, String)> {
    if let StoreUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Ok(None);
    }
    match StoreReader::open(url) {
        Ok(reader) => Ok(Some(reader)),
        Err(OpenError::NoStore { .. }) => Ok(None),
        Err(error) => Err(not_open(&error)),
    }
}

fn look_through(reader: Option<StoreReader>, url: &StoreUrl) -> Judged {
    let Some(reader) = reader else {
        return Ok(format!("{url}: not made yet"));
    };
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
