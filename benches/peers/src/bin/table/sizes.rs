//! What `targets/run.sh` says about sizes.

use crate::{Failure, Goal};

/// Goals in KB: what a line says before the number, what that is, and the bound.
const GOALS: [(&str, &str, f64); 2] = [
    (": flash ", "Cortex-M4 image, flash", 48.0),
    (
        ", RAM ",
        "Cortex-M4 image, RAM beside the frame buffer",
        8.0,
    ),
];
const WASM_BYTES_MAX: f64 = 100.0 * 1024.0;

pub(crate) fn goals(said: &str) -> Result<Vec<Goal>, Failure> {
    let number = |behind: &str| -> Result<f64, Failure> {
        let (_, rest) = said
            .split_once(behind)
            .ok_or_else(|| format!("targets/run.sh says nothing of{behind}"))?;
        Ok(rest.split(' ').next().unwrap_or_default().parse()?)
    };
    let mut goals = Vec::new();
    for (behind, what, bound) in GOALS {
        let kb = number(behind)?;
        goals.push((
            what.to_owned(),
            format!("below {bound} KB"),
            format!("{kb} KB"),
            kb < bound,
        ));
    }
    let bytes = number("; module ")?;
    goals.push((
        "WebAssembly module with core, normalisation and webhook checks".to_owned(),
        "below 100 KB".to_owned(),
        format!("{:.1} KB", bytes / 1024.0),
        bytes < WASM_BYTES_MAX,
    ));
    Ok(goals)
}
