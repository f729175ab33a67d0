//! `xiaoo-app` run to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a command said, and how it ended.
#[derive(Debug)]
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

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
