//! Skills out of a git repository, by the `git` program.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;
use tokio::time::timeout;

/// Whether this is a repository's address rather than a path.
pub(super) fn is_url(source: &str) -> bool {
    source.contains("://") || is_ssh_short(source)
}

/// Gets the newest commit and nothing else of it: no history, no submodules, and nothing that
/// the repository could have run here.
pub(super) async fn clone(url: &str, into: &Path) -> Result<()> {
    let is_allowed = PROTOCOLS.iter().any(|protocol| {
        url.get(..protocol.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(protocol))
    });
    if !is_allowed && !is_ssh_short(url) {
        bail!("{url}: only https://, ssh:// and file:// are fetched from");
    }
    let mut command = Command::new("git");
    command
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(["-c", "core.fsmonitor=false"])
        .args([
            "clone",
            "--quiet",
            "--depth",
            "1",
            "--single-branch",
            "--no-tags",
        ])
        .args(["--no-recurse-submodules", "--template=", "--"])
        .arg(url)
        .arg(into)
        .env("GIT_ALLOW_PROTOCOL", "https:ssh:file")
        // Large files that lie elsewhere are no part of a skill.
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        // Without a terminal a question would be waited for.
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(why)) if why.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "the program `git` is not installed; install it, or use a directory or an archive"
            )
        }
        Ok(Err(why)) => return Err(why).context("git can't be run"),
        Err(_) => bail!("{url} was not there after {} s", PATIENCE.as_secs()),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        bail!(
            "git could not get {url}: {}",
            last.unwrap_or("it did not say why").trim()
        );
    }
    Ok(())
}

/// `user@host:path`.
fn is_ssh_short(source: &str) -> bool {
    let Some((host, path)) = source.split_once(':') else {
        return false;
    };
    host.contains('@')
        && !host.contains('/')
        && !host.starts_with('-')
        && !path.is_empty()
        && !path.starts_with("//")
}

const PROTOCOLS: [&str; 3] = ["https://", "ssh://", "file://"];
/// A repository of skills is small; whoever waits longer waits for nothing.
const PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::is_url;

    #[test]
    fn addresses_are_told_from_paths() {
        for (source, expected) in [
            ("https://git.example/a/b", true),
            ("ssh://git@git.example/a", true),
            ("file:///srv/a.git", true),
            ("git@git.example:a/b.git", true),
            ("ext::sh -c true", false),
            ("./a:b", false),
            ("a/b", false),
            ("C:\\skills", false),
        ] {
            assert_eq!(is_url(source), expected, "{source}");
        }
    }
}
