//! Where skills come from: directories, git repositories, archives.

mod archive;
mod download;
mod git;

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::runtime::Builder;

/// A directory with what was fetched, which goes with this.
pub(super) struct Fetched {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Fetched {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn temporary(folder: TempDir) -> Self {
        Self {
            path: folder.path().to_path_buf(),
            _temporary: Some(folder),
        }
    }
}

/// Gets what `source` names.
pub(super) fn fetch(source: &str) -> Result<Fetched> {
    if source.starts_with('-') {
        bail!("{source:?} is neither a path nor a URL");
    }
    let path = Path::new(source);
    if path.is_dir() {
        return Ok(Fetched {
            path: path.to_path_buf(),
            _temporary: None,
        });
    }
    if path.is_file() {
        let file = File::open(path).with_context(|| format!("{source} can't be read"))?;
        let folder = temporary()?;
        archive::extract(file, folder.path())
            .with_context(|| format!("{source} can't be unpacked"))?;
        return Ok(Fetched::temporary(folder));
    }
    if download::is_archive(source) {
        let folder = temporary()?;
        let file = in_runtime(download::get(source))?;
        archive::extract(file, folder.path())
            .with_context(|| format!("{source} can't be unpacked"))?;
        return Ok(Fetched::temporary(folder));
    }
    if git::is_url(source) {
        let folder = temporary()?;
        in_runtime(git::clone(source, folder.path()))?;
        return Ok(Fetched::temporary(folder));
    }
    bail!(
        "{source} is not there, and it is no URL either. A source is a directory, an archive (.zip, \
         .tar.gz), or a URL that begins with https://, ssh:// or file://, or is like git@host:path"
    );
}

fn temporary() -> Result<TempDir> {
    tempfile::tempdir().context("no temporary directory can be made")
}

fn in_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be made")?;
    runtime.block_on(work)
}
