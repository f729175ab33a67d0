//! `model-sim [ADDRESS]`: the stand-in as a program, until interrupted.

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
    let mut config = ModelSimConfig::default();
    config.listen = match std::env::args().nth(1) {
        None => SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
        Some(address) => address.parse().map_err(|_| {
            format!("{address:?} is not an address such as 127.0.0.1:{DEFAULT_PORT}")
        })?,
    };
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

/// Next to Ollama's 11434, so that it is easy to find.
const DEFAULT_PORT: u16 = 11435;
