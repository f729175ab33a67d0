//! `xiaoo-app` run to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a command said, and how it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// `xiaoo-app store …` about the file.
pub fn store(words: &[&str], path: &Path) -> Ended {
    xiaoo(words, &["--store", &format!("sqlite:{}", path.display())])
}

pub fn xiaoo(words: &[&str], more: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"))
        .args(words)
        .args(more)
        .env_remove("XIAOO_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.into()
}

/// Arguments of `unshare` with which the program may mount, and nobody else sees it.
pub fn in_a_namespace() -> [&'static str; 1] {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    [if is_root { "-m" } else { "-rm" }]
}

impl std::fmt::Debug for Ended {
    /// Its first words: an export is long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = |text: &str| text.chars().take(2_000).collect::<String>();
        write!(
            f,
            "{:?}\n{}\n{}",
            self.code,
            first(&self.out),
            first(&self.err)
        )
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
