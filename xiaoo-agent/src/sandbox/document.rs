//! Reading a document in a process that may do nothing else.

use std::fs::File;
use std::io::{self};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Resource, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::limits::{drop_capabilities, limit};
use super::run::KILL_PATIENCE;
use super::{Sandbox, calls, files};
use crate::document::{DocumentError, DocumentLimits, Extracted, answer_on_stdout, read_file};

pub(super) const PART: &str = "document";

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    limits: DocumentLimits,
}

impl Sandbox {
    /// The text of a document, read by another process.
    pub(crate) async fn read_document(
        &self,
        file: File,
        name: &str,
        limits: &DocumentLimits,
    ) -> Result<Extracted, DocumentError> {
        let job = Job {
            name: name.to_owned(),
            limits: *limits,
        };
        let job = serde_json::to_string(&job).map_err(io::Error::from)?;
        let mut reader = self
            .helper(PART, &job)
            .stdin(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut json = Vec::new();
        let answer = async {
            if let Some(said) = reader.stdout.take() {
                said.take(ANSWER_BYTES_MAX).read_to_end(&mut json).await?;
            }
            reader.wait().await
        };
        let patience = limits.time_max.saturating_add(KILL_PATIENCE);
        let Ok(ended) = timeout(patience, answer).await else {
            return Err(too_much("time"));
        };
        let ended = ended?;
        match serde_json::from_slice(&json) {
            Ok(answer) if ended.success() => answer,
            Ok(_) | Err(_) => Err(what_happened(ended)),
        }
    }
}

/// Standard input is the file, standard output is for the answer.
pub(super) fn main(job: &str) -> ExitCode {
    let answered = || -> Result<(), Box<dyn core::error::Error>> {
        let job: Job = serde_json::from_str(job)?;
        close_fds::set_fds_cloexec(3, &[]);
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        shut_in(&job.limits)?;
        let read = read_file(&file, &job.name, &job.limits);
        Ok(answer_on_stdout(&read)?)
    };
    match answered() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// As far as the kernel can: reading a document here is never worse than in the daemon.
fn shut_in(limits: &DocumentLimits) -> io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, limits.time_max.as_secs().saturating_add(1))?;
    limit(Resource::Data, MEMORY_BYTES_MAX)?;
    limit(Resource::Fsize, 0)?;
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = files::restrict_all();
    let _ = drop_capabilities();
    let _ = calls::restrict_all();
    Ok(())
}

fn what_happened(ended: ExitStatus) -> DocumentError {
    let signal = ended.signal().and_then(Signal::from_named_raw);
    if signal == Some(Signal::XCPU) {
        return too_much("time");
    }
    // An allocation that fails ends a Rust program like this.
    if signal == Some(Signal::ABORT) || signal == Some(Signal::KILL) {
        return too_much("memory");
    }
    DocumentError::Broken {
        what: "a document".into(),
        why: "the process that read it broke".into(),
    }
}

fn too_much(what: &str) -> DocumentError {
    DocumentError::TooMuch { what: what.into() }
}

/// A text in JSON takes up to six bytes for one; the text itself is bounded by its limits.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The longest file, what it unpacks to, and what a parser makes of that.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
