//! One run of `doctor` on a rig.

use std::collections::BTreeSet;
use std::path::Path;
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
    /// A program, with its arguments, that starts doctor.
    pub wrapper: Vec<String>,
    /// The daemon's own file is looked at, and not a copy of it.
    pub in_place: bool,
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
        Self::default().and(from, to)
    }

    /// One more replacement in the configuration.
    pub fn and(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.config.push((from.into(), to.into()));
        self
    }

    /// With the store there.
    pub fn store(url: &str) -> Self {
        Self::config("[agents]", format!("[store]\nurl = \"{url}\"\n[agents]"))
    }

    /// With another platform.
    pub fn platform(rig: &Rig, base_url: &str) -> Self {
        Self::config(platform_line(&rig.sim.base_url()), platform_line(base_url))
    }

    /// With that certificate authority beside the system's own.
    pub fn trusting(self, authority: &Path) -> Self {
        let line = format!("ca_file = \"{}\"", authority.display());
        self.and("[channels.feishu]", format!("[channels.feishu]\n{line}"))
    }

    /// Where it can mount what it likes, after these commands of a shell.
    pub fn in_a_world(self, commands: &str) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let alone = if is_root { "-m" } else { "-rm" };
        let script = format!("{commands} && exec \"$0\" \"$@\"");
        Self {
            wrapper: ["unshare", alone, "sh", "-ec", &script]
                .map(str::to_owned)
                .to_vec(),
            ..self
        }
    }
}

fn platform_line(base_url: &str) -> String {
    format!("base_url = \"{base_url}\"")
}

/// The findings that a test has produced, for [`crate::coverage`].
#[derive(Default)]
pub struct Produced(BTreeSet<String>);

impl Produced {
    /// Those of this run, which are just these.
    pub async fn by(&mut self, rig: &Rig, run: Run, wanted: &[&str]) {
        let case = format!("{:?} {:?} {:?}", run.args, run.env, run.config);
        let found = findings(rig, run).await;
        assert_eq!(found, wanted, "{case}");
        self.0.extend(found);
    }

    /// Holds the test to what it promises.
    pub fn are(&self, promised: &[&str]) {
        let promised = promised.iter().map(|id| (*id).to_owned());
        assert_eq!(self.0, promised.collect::<BTreeSet<_>>());
    }
}

/// What it found, sorted, each once; it must have said so with its exit status, and no secret.
pub async fn findings(rig: &Rig, run: Run) -> Vec<String> {
    let checks = checks(rig, run).await;
    let found = checks
        .iter()
        .filter_map(|check| check["finding"].as_str().map(String::from));
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

/// All that it looked at.
pub async fn checks(rig: &Rig, run: Run) -> Vec<Value> {
    let (code, out) = output(rig, run, &["--json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{why}: {out}"));
    let checks = answer["checks"].as_array().unwrap().clone();
    let is_good = checks.iter().all(|check| check["finding"].is_null());
    assert_eq!(answer["ok"], is_good, "{out}");
    assert_eq!(code, Some(i32::from(!is_good)), "{out}");
    checks
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
    let looked_at = if run.in_place {
        folder.join("config.toml")
    } else {
        let copy = folder.join("doctor.toml");
        std::fs::write(&copy, config).unwrap();
        copy
    };
    let words = run.wrapper.iter().map(String::as_str);
    let mut words = words.chain([env!("CARGO_BIN_EXE_xiaoo-app")]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["doctor", "--lang", "en", "--config"])
        .arg(looked_at)
        .args(["--port", &run.port.unwrap_or(rig.daemon.port).to_string()])
        .args(&run.args)
        .args(more)
        .env("E2E_MODEL_KEY", PLANTED[0])
        .env("E2E_PASSWORD", PLANTED[1])
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
        PLANTED[1],
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
