//! One run of `doctor` on a rig.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::Rig;
use crate::harness::daemon::PLANTED;

/// How one run differs from a healthy one.
#[derive(Default)]
pub struct Run {
    /// Further arguments.
    pub args: Vec<String>,
    /// Variables that are set otherwise; `None` unsets.
    pub env: Vec<(&'static str, Option<String>)>,
    /// Replacements in the configuration.
    pub config: Vec<(String, String)>,
    /// The port, if not the daemon's.
    pub port: Option<u16>,
}

impl Run {
    pub fn args<const N: usize>(args: [&str; N]) -> Self {
        Self {
            args: args.map(String::from).to_vec(),
            ..Self::default()
        }
    }

    pub fn env(name: &'static str, value: Option<&str>) -> Self {
        Self {
            env: vec![(name, value.map(String::from))],
            ..Self::default()
        }
    }

    pub fn config(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            config: vec![(from.into(), to.into())],
            ..Self::default()
        }
    }
}

/// What it found, sorted, each once; it must have said so with its exit status, and no secret.
pub async fn findings(rig: &Rig, run: Run) -> Vec<String> {
    let (code, out) = output(rig, run, &["--json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}"));
    let checks = answer["checks"].as_array().unwrap().iter();
    let mut found: Vec<_> = checks
        .filter_map(|check| check["finding"].as_str().map(String::from))
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(answer["ok"], found.is_empty(), "{out}");
    assert_eq!(code, Some(i32::from(!found.is_empty())), "{out}");
    found
}

/// Its exit status, and what it says.
pub async fn output(rig: &Rig, run: Run, more: &[&str]) -> (Option<i32>, String) {
    let folder = rig.folder.path();
    let mut config = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    for (from, to) in &run.config {
        assert!(
            config.contains(from.as_str()),
            "{from} is in the configuration"
        );
        config = config.replacen(from, to, 1);
    }
    std::fs::write(folder.join("doctor.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"));
    command
        .args(["doctor", "--lang", "en", "--config"])
        .arg(folder.join("doctor.toml"))
        .args(["--port", &run.port.unwrap_or(rig.daemon.port).to_string()])
        .args(&run.args)
        .args(more)
        .env("E2E_MODEL_KEY", PLANTED[0])
        .env("E2E_SECRET", &rig.sim.config().app_secret)
        .env("E2E_KEY", "an encrypt key")
        .env("HOME", rig.daemon.home())
        .stdin(Stdio::null());
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    for (name, value) in &run.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // The platform answers in this process.
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ended = ended.await.unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    let secrets = [
        PLANTED[0],
        &rig.sim.config().app_secret,
        &rig.sim.config().verification_token,
        "an encrypt key",
        "wrong-secret",
    ];
    for secret in secrets {
        assert!(!out.contains(secret) && !err.contains(secret), "{out}{err}");
    }
    (ended.status.code(), out)
}
