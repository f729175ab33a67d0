//! The skills on disk, as they are now.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tracing::{debug, warn};

use super::fault::{Fault, Level};
use super::folder::Folder;
use super::limits::SkillLimits;
use super::load::{self, MARKDOWN, MARKDOWN_TOO, TOML};
use super::requires::Host;
use super::roots::SkillRoot;
use super::skills::{Diagnostic, Skill, Skills};

/// The skills of some roots. What changes on disk is seen by who asks after it, without a
/// restart: a look costs a few system calls a skill, and there is at most one in
/// [`SkillLimits::rescan_every`].
#[derive(Debug)]
pub struct SkillRegistry {
    roots: Vec<SkillRoot>,
    limits: SkillLimits,
    host: Host,
    current: RwLock<Arc<Skills>>,
    scan: Mutex<Scan>,
}

#[derive(Debug, Default)]
struct Scan {
    looked_at: Option<Instant>,
    seen: Vec<Seen>,
    /// What was logged and is still so: nothing is said twice.
    told: HashSet<String>,
}

impl SkillRegistry {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(roots: Vec<SkillRoot>, limits: SkillLimits) -> Self {
        Self {
            roots,
            limits,
            host: Host::this(),
            current: RwLock::default(),
            scan: Mutex::default(),
        }
    }

    /// On another machine than this one.
    #[must_use]
    pub fn on(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Where it looks, in order of precedence.
    #[must_use]
    pub fn roots(&self) -> &[SkillRoot] {
        &self.roots
    }

    /// The skills as they are now. Blocks while a look is due; whoever asks during somebody
    /// else's look gets what was known before.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Skills> {
        if let Ok(mut scan) = self.scan.try_lock()
            && self.is_due(&scan)
        {
            self.look(&mut scan);
        }
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// [`SkillRegistry::snapshot`] for tasks: the look happens on a thread that may block.
    pub async fn current(self: &Arc<Self>) -> Arc<Skills> {
        let registry = Arc::clone(self);
        match tokio::task::spawn_blocking(move || registry.snapshot()).await {
            Ok(skills) => skills,
            Err(_) => Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn is_due(&self, scan: &Scan) -> bool {
        scan.looked_at
            .is_none_or(|then| then.elapsed() >= self.limits.rescan_every)
    }

    fn look(&self, scan: &mut Scan) {
        let seen = self.see();
        let is_first = scan.looked_at.is_none();
        scan.looked_at = Some(Instant::now());
        if !is_first && seen == scan.seen && !self.has_host_changed() {
            return;
        }
        // Seen before it is read: what changes meanwhile differs from it the next time.
        scan.seen = seen;
        let skills = self.load();
        scan.told = tell(skills.diagnostics(), &scan.told);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(skills);
    }

    /// Everything whose change could change a skill.
    fn see(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for root in &self.roots {
            seen.push(Seen::at(root.path.clone()));
            let Ok(folder) = Folder::open(&root.path) else {
                continue;
            };
            let (names, _) = folder.names(self.limits.entries_max).unwrap_or_default();
            for name in names.iter().filter(|name| may_be_skill(name)) {
                let child = root.path.join(name);
                for file in [TOML, MARKDOWN, MARKDOWN_TOO] {
                    seen.push(Seen::at(child.join(file)));
                }
                seen.push(Seen::at(child));
            }
        }
        seen
    }

    fn has_host_changed(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current
            .iter()
            .any(|skill| skill.manifest.requires.missing(&self.host) != skill.missing)
    }

    fn load(&self) -> Skills {
        let mut found = Found::default();
        for root in &self.roots {
            self.load_root(root, &mut found);
        }
        Skills::new(found.by_name, found.diagnostics)
    }

    fn load_root(&self, root: &SkillRoot, found: &mut Found) {
        let folder = match Folder::open(&root.path) {
            Ok(folder) => folder,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return,
            Err(why) => {
                found.add(Level::Error, &root.path, format!("can't be read: {why}"));
                return;
            }
        };
        let (names, has_more) = match folder.names(self.limits.entries_max) {
            Ok(listed) => listed,
            Err(why) => {
                found.add(Level::Error, &root.path, format!("can't be listed: {why}"));
                return;
            }
        };
        if has_more {
            let max = self.limits.entries_max;
            let text = format!(
                "has more than {max} entries; is this a directory of skills? Only some are read"
            );
            found.add(Level::Warning, &root.path, text);
        }
        let mut open = Vec::new();
        for name in names.iter().filter(|name| may_be_skill(name)) {
            let path = root.path.join(name);
            if !path.is_dir() {
                continue;
            }
            if is_writable_by_others(&path) {
                open.push(name.to_string_lossy());
            }
            match folder.folder(Path::new(name)) {
                Ok(child) => self.load_skill(root, &path, &child, found),
                Err(why) => found.add(Level::Error, &path, format!("skipped: {why}")),
            }
        }
        if let Some(first) = open.first() {
            let text = format!(
                "others than their owner can change {} of its skills, such as {first}; `chmod -R go-w` \
                 takes that away",
                open.len()
            );
            found.add(Level::Warning, &root.path, text);
        }
    }

    fn load_skill(&self, root: &SkillRoot, path: &Path, folder: &Folder, found: &mut Found) {
        let loaded = load::load(folder, self.limits.file_bytes_max);
        let Some((manifest, body)) = loaded.skill else {
            // A directory without a skill in it is no mistake.
            if loaded.faults == [Fault::NothingThere] {
                found.add(Level::Note, path, Fault::NothingThere.to_string());
            } else if let Some((_, text)) = load::told(&loaded.faults, Level::Error) {
                found.add(Level::Error, path, format!("skipped: {text}"));
            }
            return;
        };
        for fault in &loaded.faults {
            debug!(skill = %path.display(), %fault, "a remark on a skill");
        }
        if let Some((level, text)) = load::told(&loaded.faults, Level::Warning) {
            found.add(level, path, text);
        }
        if let Some(first) = found.by_name.get(&manifest.name) {
            let text = format!(
                "not used: {} is called {:?} too, and comes first",
                first.directory.display(),
                manifest.name
            );
            found.add(Level::Warning, path, text);
            return;
        }
        if found.by_name.len() >= self.limits.skills_max {
            let text = format!(
                "skipped: there are {} skills already",
                self.limits.skills_max
            );
            found.add(Level::Error, path, text);
            return;
        }
        let missing = manifest.requires.missing(&self.host);
        if !missing.is_empty() {
            let text = format!("not available: {}", missing.join("; "));
            found.add(Level::Note, path, text);
        }
        let skill = Skill {
            body,
            directory: folder.path().to_path_buf(),
            origin: root.origin,
            missing,
            manifest,
        };
        found
            .by_name
            .insert(skill.manifest.name.clone(), Arc::new(skill));
    }
}

#[derive(Default)]
struct Found {
    by_name: BTreeMap<String, Arc<Skill>>,
    diagnostics: Vec<Diagnostic>,
}

impl Found {
    fn add(&mut self, level: Level, path: &Path, text: String) {
        self.diagnostics.push(Diagnostic {
            level,
            path: path.to_path_buf(),
            text,
        });
    }
}

/// A file or directory at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    /// `None` for what is not there.
    state: Option<State>,
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    mode: u32,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn at(path: PathBuf) -> Self {
        let state = std::fs::metadata(&path).ok().map(|metadata| State {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        Self { path, state }
    }
}

/// Logs what is new of it, and gives back everything that is so.
fn tell(diagnostics: &[Diagnostic], told: &HashSet<String>) -> HashSet<String> {
    let mut now = HashSet::new();
    for diagnostic in diagnostics {
        let line = diagnostic.to_string();
        if !told.contains(&line) {
            match diagnostic.level {
                Level::Error | Level::Warning => warn!("skill {line}"),
                Level::Note => debug!("skill {line}"),
            }
        }
        now.insert(line);
    }
    now
}

/// Instructions that others can change are theirs.
fn is_writable_by_others(path: &Path) -> bool {
    let is_open = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS_WRITE != 0)
    };
    let files = [TOML, MARKDOWN, MARKDOWN_TOO];
    is_open(path) || files.iter().any(|file| is_open(&path.join(file)))
}

/// Write permission of the group and of everybody.
const OTHERS_WRITE: u32 = 0o022;

fn may_be_skill(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    !name.starts_with('.') && name != "node_modules"
}
