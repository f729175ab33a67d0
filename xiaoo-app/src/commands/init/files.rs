//! `config.toml` and `xiaoo.env`: read, changed where an answer is new, and written so that
//! nobody ever sees half of one.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::answers::Answers;
use super::document::{Document, is_placeholder};
use super::texts::Texts;
use crate::config::environment::EnvFile;
use crate::config::{Config, Env};

/// Where a server has its configuration; the unit looks for it there.
pub(super) const SERVERS_CONFIG: &str = "/opt/xiaoo/config/config.toml";
/// A configuration has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
const CONFIG_MODE: u32 = 0o644;
const ENV_MODE: u32 = 0o600;

/// Both files.
pub(super) struct Files {
    path: PathBuf,
    document: Document,
    env_path: PathBuf,
    env: EnvFile,
    env_before: Option<String>,
    env_has_changed: bool,
    texts: &'static Texts,
}

impl Files {
    /// As they are; new ones where there are none.
    pub(super) fn open(path: &Path, texts: &'static Texts) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)
            .with_context(|| (texts.unreadable)(&path.display().to_string()))?;
        let document = Document::open(read(&path, texts)?, &path, texts)?;
        let env_path = path.with_file_name("xiaoo.env");
        let env_before = read(&env_path, texts)?;
        Ok(Self {
            path,
            document,
            env: EnvFile::read(env_before.as_deref().unwrap_or(texts.env_header)),
            env_has_changed: env_before.is_none(),
            env_path,
            env_before,
            texts,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn env_path(&self) -> &Path {
        &self.env_path
    }

    pub(super) fn texts(&self) -> &'static Texts {
        self.texts
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Whether none of them is there yet.
    pub(super) fn are_new(&self) -> bool {
        self.document.is_new() && self.env_before.is_none()
    }

    /// Whether they are a server's, beside those that its unit reads.
    pub(super) fn are_servers(&self) -> bool {
        self.path.parent() == Path::new(SERVERS_CONFIG).parent()
    }

    /// A secret that is written already.
    pub(super) fn secret(&self, variable: &str) -> Option<String> {
        let value = self.env.of_anybody(variable)?;
        (!value.is_empty() && !is_placeholder(&value)).then_some(value)
    }

    /// Takes all answers in.
    pub(super) fn take(&mut self, answers: &Answers) -> anyhow::Result<()> {
        self.document.take(answers, self.are_servers())?;
        for variable in [&answers.app_secret, &answers.api_key, &answers.encrypt_key] {
            if let Some(value) = variable.secret.expose() {
                self.set_secret(&variable.name, value)?;
            }
        }
        Ok(())
    }

    fn set_secret(&mut self, variable: &str, value: &str) -> anyhow::Result<()> {
        if self.secret(variable).as_deref() == Some(value) {
            return Ok(());
        }
        if value.contains(['\'', '"', '\\', '$', '`']) || value.contains(char::is_control) {
            bail!("{}", (self.texts.shells_differ)(variable));
        }
        self.env
            .put(variable, &format!("{variable}={}", quoted(value)));
        self.env_has_changed = true;
        Ok(())
    }

    /// What a daemon would start with.
    pub(super) fn check(&self, env: &dyn Env) -> anyhow::Result<Config> {
        let env = |name: &str| self.secret(name).or_else(|| env.var(name));
        let (config, _) = Config::parse(&self.path, &self.document.text_now(), &env)?;
        Ok(config)
    }

    /// What writing would do, a line for each: never a secret.
    pub(super) fn changes(&self) -> Vec<String> {
        let texts = self.texts;
        let mut changes = Vec::new();
        let config = self.path.display();
        if self.document.is_new() {
            changes.push(format!("{config} ({})", texts.new));
        } else if self.document.has_changed() {
            changes.push(format!("{config} ({})", texts.changed));
            let lines = self.document.changed_lines().into_iter();
            changes.extend(lines.map(|line| format!("  {line}")));
        }
        let how = match &self.env_before {
            None => texts.new,
            Some(_) => texts.changed,
        };
        if self.env_has_changed {
            let env = self.env_path.display();
            changes.push(format!("{env} ({how}, {})", texts.private));
        }
        changes
    }

    /// Writes what has changed.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        // Secrets first: a configuration without them starts nothing.
        if self.env_has_changed {
            write(&self.env_path, &self.env.text(), Some(ENV_MODE), self.texts)?;
        }
        if self.document.has_changed() {
            write(&self.path, &self.document.text_now(), None, self.texts)?;
        }
        Ok(())
    }
}

/// Puts a file in place in one step. What was there keeps its owner, and its mode unless another
/// is demanded.
pub(super) fn write(
    path: &Path,
    text: &str,
    mode: Option<u32>,
    texts: &'static Texts,
) -> anyhow::Result<()> {
    let unwritable = || (texts.unwritable)(&path.display().to_string());
    let directory = path.parent().with_context(unwritable)?;
    let written = (|| {
        fs::create_dir_all(directory)?;
        // Nobody else can read it before its mode is right.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        let before = fs::metadata(path).ok();
        let usual = before
            .as_ref()
            .map_or(CONFIG_MODE, |before| before.mode() & 0o777);
        if let Some(before) = &before
            && (before.uid(), before.gid()) != owner(&file)?
        {
            chown(file.path(), Some(before.uid()), Some(before.gid()))?;
        }
        let mode = Permissions::from_mode(mode.unwrap_or(usual));
        file.as_file().set_permissions(mode)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok::<(), io::Error>(())
    })();
    written.with_context(unwritable)
}

fn owner(file: &tempfile::NamedTempFile) -> io::Result<(u32, u32)> {
    let metadata = file.as_file().metadata()?;
    Ok((metadata.uid(), metadata.gid()))
}

fn read(path: &Path, texts: &'static Texts) -> anyhow::Result<Option<String>> {
    let name = path.display().to_string();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| (texts.unreadable)(&name)),
        Ok(file) if file.len() > FILE_BYTES_MAX => bail!("{}", (texts.too_large)(&name)),
        Ok(_) => {}
    }
    fs::read_to_string(path)
        .map(Some)
        .with_context(|| (texts.unreadable)(&name))
}

/// As both systemd and a shell read it.
fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=+,@%".contains(&byte);
    if value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{value}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::init::texts;
    use crate::render::language::Language;

    #[test]
    fn a_secret_that_a_shell_would_read_differently_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let texts = texts::of(Language::English);
        let mut files = Files::open(&folder.path().join("config.toml"), texts).unwrap();
        for secret in ["it's", "a\"b", "a\\b", "a$b", "a`b", "a\nb"] {
            assert!(files.set_secret("KEY", secret).is_err(), "{secret:?}");
        }
        let header = texts.env_header;
        for (secret, line) in [
            ("with space #1", "KEY='with space #1'"),
            ("plain", "KEY=plain"),
        ] {
            files.set_secret("KEY", secret).unwrap();
            assert_eq!(files.env.text(), format!("{header}{line}\n"));
            assert_eq!(files.secret("KEY").as_deref(), Some(secret));
        }
    }
}
