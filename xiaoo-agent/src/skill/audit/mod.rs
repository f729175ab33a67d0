//! What should be looked at before a skill is trusted.
//!
//! Nothing is run and no link is followed. An audit finds what is hidden and what is plainly
//! dangerous; it can't find what is well disguised, so it does not replace reading a skill.

mod patterns;
mod text;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::fault::Level;
use super::limits::SkillLimits;
use super::load;

/// One thing that an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// The file, relative to the skill; empty for the skill as a whole.
    pub file: String,
    /// Its line, counted from 1.
    pub line: Option<usize>,
    /// What, in one sentence.
    pub text: String,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Everything, file by file.
    pub findings: Vec<Finding>,
    /// Files that were looked at.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Audit {
    /// Whether the skill must not be used before somebody has decided so.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Level::Error) > 0
    }

    /// How many findings are of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.level == level).count()
    }
}

/// Looks at every file of the skill in `directory`.
///
/// # Errors
/// When the directory can't be listed.
pub fn audit(directory: &Path) -> io::Result<Audit> {
    let mut walk = Walk {
        root: directory.canonicalize()?,
        audit: Audit::default(),
        open_to_all: Open::default(),
        open_to_group: Open::default(),
    };
    walk.format();
    walk.folder(PathBuf::new(), 0)?;
    walk.write_open();
    let mut audit = walk.audit;
    audit.findings.truncate(FINDINGS_MAX);
    Ok(audit)
}

struct Walk {
    root: PathBuf,
    audit: Audit,
    open_to_all: Open,
    open_to_group: Open,
}

/// What others can change: often all of a skill, and said once.
#[derive(Default)]
struct Open {
    count: usize,
    first: String,
}

impl Open {
    fn add(&mut self, name: &str) {
        if self.count == 0 {
            self.first = if name.is_empty() {
                "the directory itself"
            } else {
                name
            }
            .to_owned();
        }
        self.count += 1;
    }
}

impl Walk {
    /// A skill that can't be loaded is no skill.
    fn format(&mut self) {
        let checked = match load::check(&self.root, SkillLimits::default().file_bytes_max) {
            Ok(checked) => checked,
            Err(why) => return self.add(Level::Error, "", None, format!("can't be read: {why}")),
        };
        let nothing_there = super::Fault::NothingThere;
        for fault in checked.faults {
            if fault.at_load() == Level::Error || fault == nothing_there {
                self.add(Level::Error, "", None, format!("can't be loaded: {fault}"));
            }
        }
    }

    fn folder(&mut self, below: PathBuf, depth: usize) -> io::Result<()> {
        let folder = self.root.join(&below);
        let name = below.to_string_lossy().into_owned();
        if let Ok(metadata) = fs::symlink_metadata(&folder) {
            self.permissions(&name, &metadata);
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder)? {
            if entries.len() == FILES_MAX {
                break;
            }
            entries.push(entry?);
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(why) => {
                    self.add(Level::Warning, &name, None, format!("can't be seen: {why}"));
                    continue;
                }
            };
            let kind = metadata.file_type();
            if kind.is_symlink() {
                self.link(&name, &entry.path());
            } else if kind.is_dir() {
                if depth == DEPTH_MAX {
                    let text = format!("more than {DEPTH_MAX} directories deep; not looked into");
                    self.add(Level::Warning, &name, None, text);
                } else if NOT_LOOKED_INTO.contains(&entry.file_name().to_string_lossy().as_ref()) {
                    let text = "not looked into; it does not belong into a skill";
                    self.add(Level::Warning, &name, None, text);
                } else {
                    self.folder(path, depth + 1)?;
                }
            } else if kind.is_file() {
                if self.audit.files == FILES_MAX {
                    let text = format!("more than {FILES_MAX} files; the rest was not looked at");
                    self.add(Level::Error, &name, None, text);
                    return Ok(());
                }
                self.audit.files += 1;
                self.audit.bytes += metadata.len();
                self.permissions(&name, &metadata);
                self.file(&name, &entry.path(), metadata.len());
            } else {
                let what = if kind.is_fifo() {
                    "a pipe"
                } else if kind.is_socket() {
                    "a socket"
                } else {
                    "a device"
                };
                self.add(Level::Error, &name, None, format!("is {what}"));
            }
        }
        Ok(())
    }

    fn link(&mut self, name: &str, path: &Path) {
        let target = fs::read_link(path).unwrap_or_default();
        let leads_out = !path
            .canonicalize()
            .is_ok_and(|target| target.starts_with(&self.root));
        let text = format!(
            "is a symbolic link to {}{}; links are not followed, put the file itself there",
            target.display(),
            if leads_out {
                ", which leads out of the skill or to nothing"
            } else {
                ""
            }
        );
        self.add(Level::Error, name, None, text);
    }

    fn permissions(&mut self, name: &str, metadata: &fs::Metadata) {
        let mode = metadata.mode();
        if metadata.is_file() && mode & SET_ID != 0 {
            let text = "runs with its owner's rights (setuid or setgid)";
            self.add(Level::Error, name, None, text);
        }
        if mode & WRITABLE_BY_ALL != 0 {
            self.open_to_all.add(name);
        } else if mode & WRITABLE_BY_GROUP != 0 {
            self.open_to_group.add(name);
        }
    }

    fn write_open(&mut self) {
        let all = core::mem::take(&mut self.open_to_all);
        let group = core::mem::take(&mut self.open_to_group);
        for (level, who, open) in [
            (Level::Error, "everybody on this machine", all),
            (Level::Warning, "their group", group),
        ] {
            if open.count > 0 {
                let text = format!(
                    "{who} can change {} of its files and directories, such as {}; `chmod -R go-w` takes \
                     that away",
                    open.count, open.first
                );
                self.add(level, "", None, text);
            }
        }
    }

    fn file(&mut self, name: &str, path: &Path, bytes: u64) {
        if bytes > BIG_BYTES {
            let text = format!("is big: {} MiB", bytes.div_ceil(1 << 20));
            self.add(Level::Warning, name, None, text);
        }
        let read = match read(path) {
            Ok(read) => read,
            Err(why) => {
                self.add(Level::Warning, name, None, format!("can't be read: {why}"));
                return;
            }
        };
        if let Some(what) = program_kind(&read) {
            let text = format!("is a program ({what}); nobody can read what it does");
            self.add(Level::Error, name, None, text);
        } else if read.contains(&0) {
            self.binary(name);
        } else {
            match String::from_utf8(read) {
                Ok(content) => {
                    if bytes > TEXT_BYTES_MAX {
                        let text = format!("only its first {} KiB were read", TEXT_BYTES_MAX >> 10);
                        self.add(Level::Warning, name, None, text);
                    }
                    text::look(self, name, &content);
                }
                Err(why) => {
                    let valid = why.utf8_error().valid_up_to();
                    let content = String::from_utf8_lossy(why.as_bytes()).into_owned();
                    // The cut of a long file may go through a character.
                    if valid + 4 < content.len() {
                        self.add(Level::Warning, name, None, "is neither UTF-8 nor binary");
                    }
                    text::look(self, name, &content);
                }
            }
        }
    }

    fn binary(&mut self, name: &str) {
        let extension = Path::new(name).extension().unwrap_or_default();
        let extension = extension.to_string_lossy().to_ascii_lowercase();
        if ARCHIVES.contains(&extension.as_str()) {
            let text = "is an archive, which was not looked into";
            self.add(Level::Warning, name, None, text);
        } else if !ASSETS.contains(&extension.as_str()) {
            let text = "is binary, and of no kind that skills usually have";
            self.add(Level::Warning, name, None, text);
        }
    }

    fn add(&mut self, level: Level, file: &str, line: Option<usize>, text: impl Into<String>) {
        if self.audit.findings.len() > FINDINGS_MAX && level < Level::Error {
            return;
        }
        self.audit.findings.push(Finding {
            level,
            file: file.to_owned(),
            line,
            text: text.into(),
        });
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(TEXT_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What of program a file is, by how it begins.
fn program_kind(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"\x7fELF", "Linux"),
        (b"MZ", "Windows"),
        (b"\xfe\xed\xfa\xce", "macOS"),
        (b"\xfe\xed\xfa\xcf", "macOS"),
        (b"\xcf\xfa\xed\xfe", "macOS"),
        (b"\xca\xfe\xba\xbe", "macOS or Java"),
        (b"\0asm", "WebAssembly"),
        (b"!<arch>", "a library"),
    ];
    let is_binary = bytes.contains(&0);
    let kind = KINDS.iter().find(|(begins, _)| bytes.starts_with(begins));
    kind.filter(|_| is_binary).map(|(_, kind)| *kind)
}

/// Files of one skill that are looked at. The largest public ones have a few hundred.
const FILES_MAX: usize = 2000;
/// Directories in each other.
const DEPTH_MAX: usize = 8;
/// Findings of one skill. Whoever has more has read enough; errors are kept first.
const FINDINGS_MAX: usize = 500;
/// Bytes of one file that are read.
const TEXT_BYTES_MAX: u64 = 512 << 10;
/// A file that a model would not read as a whole.
const BIG_BYTES: u64 = 1 << 20;
const SET_ID: u32 = 0o6000;
const WRITABLE_BY_ALL: u32 = 0o002;
const WRITABLE_BY_GROUP: u32 = 0o020;
const NOT_LOOKED_INTO: [&str; 2] = [".git", "node_modules"];
const ARCHIVES: [&str; 9] = ["7z", "bz2", "gz", "jar", "tar", "tgz", "whl", "xz", "zip"];
const ASSETS: [&str; 21] = [
    "docx", "eot", "gif", "ico", "jpeg", "jpg", "mp3", "mp4", "otf", "pdf", "png", "pptx", "ttc",
    "ttf", "wav", "webm", "webp", "woff", "woff2", "xls", "xlsx",
];
