//! `xiaoo-app init` as a person meets it, at a terminal, and as a script does.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; its harness is shared with others, and has no users outside"
)]

mod alone;
mod asked;
mod terminal;

#[path = "../e2e/daemon.rs"]
mod daemon;

use std::path::{Path, PathBuf};

use feishu_sim::{Sim, SimConfig};
use model_sim::{ModelSim, ModelSimConfig};
use tempfile::TempDir;

/// What must never be shown.
const SECRET: &str = "planted-app-secret";
const KEY: &str = "planted-model-key";

/// A Feishu, a model that wants a key, and a folder with nothing in it.
struct Place {
    sim: Sim,
    model: ModelSim,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let config = SimConfig {
            app_secret: SECRET.into(),
            time_scale: 0.01,
            ..SimConfig::default()
        };
        let mut model = ModelSimConfig::for_tests();
        model.api_key = Some(KEY.into());
        Self {
            sim: Sim::start(config).await.unwrap(),
            model: ModelSim::start(model).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.folder.path())
            .unwrap()
            .next()
            .is_none()
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
