//! Archives unpacked, with nothing in them trusted.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::read::GzDecoder;
use tar::EntryType;
use zip::ZipArchive;

/// Unpacks a .zip or .tar.gz into an empty directory. What it is, its first bytes say.
pub(super) fn extract(file: File, into: &Path) -> Result<()> {
    extract_within(file, into, BYTES_MAX)
}

fn extract_within(mut file: File, into: &Path, bytes_max: u64) -> Result<()> {
    let mut begins = [0; 4];
    let read = file.read(&mut begins)?;
    file.seek(SeekFrom::Start(0))?;
    let begins = begins.get(..read).unwrap_or_default();
    let unpack = Unpack {
        into,
        entries: 0,
        bytes_max,
        bytes_left: bytes_max,
    };
    if begins.starts_with(b"PK") {
        unpack.zip(file)
    } else if begins.starts_with(&[0x1f, 0x8b]) {
        unpack.tar(GzDecoder::new(file))
    } else {
        bail!("it is neither a .zip nor a .tar.gz");
    }
}

struct Unpack<'a> {
    into: &'a Path,
    entries: usize,
    bytes_max: u64,
    bytes_left: u64,
}

impl Unpack<'_> {
    fn zip(mut self, file: File) -> Result<()> {
        let mut archive = ZipArchive::new(file).context("it is not a whole .zip")?;
        // Known before anything is written.
        self.count(archive.len())?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let name = entry.name()?.into_owned();
            let path = self.inside(Path::new(&name))?;
            let mode = entry.unix_mode().unwrap_or(0);
            if entry.is_dir() {
                fs::create_dir_all(&path)?;
            } else if mode & FILE_KIND == 0 || mode & FILE_KIND == PLAIN_FILE {
                self.write(&mut entry, &path, mode)?;
            } else {
                bail!("{name} is a link or no plain file");
            }
        }
        Ok(())
    }

    fn tar(mut self, reader: impl Read) -> Result<()> {
        // What is between the entries counts, too.
        let mut archive = tar::Archive::new(
            reader.take(
                self.bytes_max
                    .saturating_mul(2)
                    .saturating_add(TAR_FRAME_BYTES),
            ),
        );
        for entry in archive.entries()? {
            let mut entry = entry.context("it is not a whole .tar.gz")?;
            let kind = entry.header().entry_type();
            // git writes the commit's id into one of these.
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let name = entry.path()?.into_owned();
            let path = self.inside(&name)?;
            self.count(1)?;
            if kind == EntryType::Directory {
                fs::create_dir_all(&path)?;
            } else if matches!(kind, EntryType::Regular | EntryType::Continuous) {
                let mode = entry.header().mode().unwrap_or(0);
                self.write(&mut entry, &path, mode)?;
            } else {
                bail!("{} is a link or no plain file", name.display());
            }
        }
        Ok(())
    }

    /// Where an entry goes; every part of its path is an ordinary name.
    fn inside(&self, name: &Path) -> Result<PathBuf> {
        let mut path = self.into.to_path_buf();
        for (depth, component) in name.components().enumerate() {
            match component {
                Component::Normal(part) if depth < DEPTH_MAX => path.push(part),
                Component::CurDir => {}
                Component::Normal(_) => bail!("{} is too deep", name.display()),
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    bail!("{:?} leads out of the archive", name.display().to_string())
                }
            }
        }
        Ok(path)
    }

    fn count(&mut self, entries: usize) -> Result<()> {
        self.entries += entries;
        if self.entries > ENTRIES_MAX {
            bail!("it has more than {ENTRIES_MAX} entries");
        }
        Ok(())
    }

    /// Counts what comes out, not what the archive says of itself.
    fn write(&mut self, content: &mut impl Read, path: &Path, mode: u32) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(path)
            .with_context(|| format!("{} is in it twice", shown(path, self.into)))?;
        let written = io::copy(&mut content.take(self.bytes_left + 1), &mut file)
            .with_context(|| format!("{} can't be unpacked", shown(path, self.into)))?;
        self.bytes_left = match self.bytes_left.checked_sub(written) {
            Some(left) => left,
            None => bail!("it has more than {} bytes unpacked", self.bytes_max),
        };
        if mode & 0o100 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        Ok(())
    }
}

fn shown(path: &Path, into: &Path) -> String {
    let name = path.strip_prefix(into).unwrap_or(path);
    name.display().to_string()
}

/// Of a file's mode: which bits say what it is, and what they are for a plain one.
const FILE_KIND: u32 = 0o170_000;
const PLAIN_FILE: u32 = 0o100_000;
/// Entries of one archive. Repositories of dozens of skills have some thousand.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of one archive, unpacked: ten times the largest public repository of skills.
const BYTES_MAX: u64 = 128 << 20;
/// Directories in each other.
const DEPTH_MAX: usize = 16;
/// What a small .tar has around its files.
const TAR_FRAME_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn what_comes_out_is_counted_and_one_byte_too_many_refused() {
        let zeros = vec![0; 70_000];
        for (bytes_max, fits) in [(140_000, true), (139_999, false)] {
            for file in [a_zip(&zeros), a_tar(&zeros)] {
                let folder = tempfile::tempdir().unwrap();
                let done = extract_within(file, folder.path(), bytes_max);
                match done {
                    Ok(()) => assert!(fits, "{bytes_max}"),
                    Err(why) => {
                        assert!(!fits, "{why:#}");
                        assert!(
                            why.to_string().contains("more than 139999 bytes"),
                            "{why:#}"
                        );
                    }
                }
            }
        }
    }

    /// Two files, much smaller than they are.
    fn a_zip(content: &[u8]) -> File {
        let mut zip = ZipWriter::new(tempfile::tempfile().unwrap());
        for name in ["a", "b"] {
            let deflated = SimpleFileOptions::default();
            zip.start_file(name, deflated).unwrap();
            zip.write_all(content).unwrap();
        }
        let mut file = zip.finish().unwrap();
        assert!(file.stream_position().unwrap() < 2_000);
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn a_tar(content: &[u8]) -> File {
        let gz = GzEncoder::new(tempfile::tempfile().unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for name in ["a", "b"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content).unwrap();
        }
        let mut file = tar.into_inner().unwrap().finish().unwrap();
        assert!(file.stream_position().unwrap() < 4_000);
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }
}
