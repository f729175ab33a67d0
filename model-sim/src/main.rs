//! `model-sim [ADDRESS] [--api-key KEY] [--context-window TOKENS]`: the stand-in as a program,
//! until interrupted.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use model_sim::{ModelSim, ModelSimConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "model-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let config = config(std::env::args().skip(1))?;
    let listen = config.listen;
    let sim = ModelSim::start(config)
        .await
        .map_err(|why| format!("can't listen on {listen}: {why}"))?;
    let _ = writeln!(std::io::stdout(), "api_base = \"{}\"", sim.base_url());
    tokio::signal::ctrl_c()
        .await
        .map_err(|why| format!("can't wait for an interrupt: {why}"))?;
    sim.shutdown().await;
    Ok(())
}

fn config(mut arguments: impl Iterator<Item = String>) -> Result<ModelSimConfig, String> {
    let mut config = ModelSimConfig::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT));
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--api-key" => config.api_key = Some(value()?),
            "--context-window" => {
                let tokens = value()?.parse();
                config.context_window =
                    Some(tokens.map_err(|_| "--context-window takes a number of tokens")?);
            }
            address => {
                config.listen = address.parse().map_err(|_| {
                    format!(
                        "{address:?} is neither an option nor an address such as \
                         127.0.0.1:{DEFAULT_PORT}"
                    )
                })?;
            }
        }
    }
    Ok(config)
}

/// Next to Ollama's 11434, so that it is easy to find.
const DEFAULT_PORT: u16 = 11435;
