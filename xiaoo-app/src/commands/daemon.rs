//! `xiaoo-app daemon`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::cli::DaemonArgs;
use crate::config::{Config, Env, Warning};
use crate::systemd::Systemd;

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// What kept it from starting, or went wrong at the end.
pub async fn run(
    args: &DaemonArgs,
    config: Config,
    warnings: &[Warning],
    env: &dyn Env,
) -> anyhow::Result<()> {
    for warning in warnings {
        warn!("{warning}");
    }
    let address = SocketAddr::new(args.host, args.port);
    let systemd = Systemd::from_env(env);
    systemd.status("opening the store");
    let app = App::new(config)?.supervised_by(systemd);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another daemon running? Choose another --port")
    })?;
    if args.host == Ipv4Addr::UNSPECIFIED {
        warn!("listening on every address: put nginx in front, or use --host 127.0.0.1");
    }
    let stop = stop_on_signals()?;
    app.run(listener, stop).await
}

/// A token that the first SIGTERM or SIGINT fires; the second ends the process
/// at once.
///
/// # Errors
/// When no handler can be installed.
pub fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    let stop = CancellationToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        info!("asked to stop; a second signal ends the process at once");
        fired.cancel();
        next().await;
        std::process::exit(1);
    });
    Ok(stop)
}
