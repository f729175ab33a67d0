//! An archive from a web server.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::header::LOCATION;
use reqwest::{Response, Url};
use runtime_tokio::http::{HttpOptions, client, is_plain_loopback, loopback_client};
use tokio::time::timeout;

/// Whether this is the address of an archive.
pub(super) fn is_archive(source: &str) -> bool {
    Url::parse(source).is_ok_and(|url| {
        let path = url.path().to_ascii_lowercase();
        matches!(url.scheme(), "http" | "https") && ENDS.iter().any(|end| path.ends_with(end))
    })
}

/// Downloads it into a file that nobody else sees.
pub(super) async fn get(source: &str) -> Result<File> {
    match timeout(PATIENCE, download(source)).await {
        Ok(file) => file.with_context(|| format!("{source} can't be downloaded")),
        Err(_) => bail!("{source} was not there after {} s", PATIENCE.as_secs()),
    }
}

async fn download(source: &str) -> Result<File> {
    let mut response = follow(Url::parse(source)?).await?;
    let mut file = tempfile::tempfile().context("no temporary file can be made")?;
    let mut bytes: u64 = 0;
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len() as u64;
        if bytes > BYTES_MAX {
            bail!("it has more than {} MiB", BYTES_MAX >> 20);
        }
        file.write_all(&chunk)?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// The answer that redirects end in. None of them may lead to an unencrypted connection.
async fn follow(mut url: Url) -> Result<Response> {
    for _ in 0..=REDIRECTS_MAX {
        let client = if is_plain_loopback(url.as_str()) {
            loopback_client()?
        } else if url.scheme() == "https" {
            client(&HttpOptions::default())?
        } else {
            bail!(
                "{} is not encrypted; use https://",
                url.host_str().unwrap_or("it")
            );
        };
        let response = client.get(url.clone()).send().await?;
        if !response.status().is_redirection() {
            return Ok(response.error_for_status()?);
        }
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        url = url.join(location.context("a redirect without a target")?)?;
    }
    bail!("more than {REDIRECTS_MAX} redirects")
}

const ENDS: [&str; 4] = [".skill", ".tar.gz", ".tgz", ".zip"];
/// As much as a skill may have when it is unpacked.
const BYTES_MAX: u64 = 64 << 20;
const REDIRECTS_MAX: usize = 5;
/// Skills are small.
const PATIENCE: Duration = Duration::from_secs(300);
