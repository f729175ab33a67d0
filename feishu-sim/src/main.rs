//! `feishu-sim`: the platform as a program, until interrupted.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use feishu_sim::{Sim, SimConfig};

/// The Feishu platform on this machine: long connection, webhook sender, `OpenAPI`, chat page.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on. Anybody who reaches it owns the simulated world.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// App id.
    #[arg(long, default_value_t = SimConfig::default().app_id)]
    app_id: String,
    /// App secret.
    #[arg(long, default_value_t = SimConfig::default().app_secret)]
    app_secret: String,
    /// Verification token of webhook bodies.
    #[arg(long, default_value_t = SimConfig::default().verification_token)]
    verification_token: String,
    /// Encrypt Key: webhook bodies are encrypted and signed.
    #[arg(long)]
    encrypt_key: Option<String>,
    /// Send events to this URL and not over the long connection.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Multiplies the platform's long waits; 0.01 is a hundred times as fast.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Milliseconds within which an event must be acked.
    #[arg(long, default_value_t = 3000)]
    ack_within_ms: u64,
    /// Seconds between pings, as clients are told.
    #[arg(long, default_value_t = SimConfig::default().client_config.ping_interval)]
    ping_interval: i64,
    /// No rate limits.
    #[arg(long)]
    no_limits: bool,
    /// The bot hears everything in its groups.
    #[arg(long)]
    group_all: bool,
    /// Seed of every random choice.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "feishu-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = SimConfig {
        bind: SocketAddr::new(arguments.host, arguments.port),
        app_id: arguments.app_id,
        app_secret: arguments.app_secret,
        verification_token: arguments.verification_token,
        encrypt_key: arguments.encrypt_key,
        webhook_url: arguments.webhook_url,
        time_scale: arguments.time_scale,
        ack_within: Duration::from_millis(arguments.ack_within_ms),
        limits_on: !arguments.no_limits,
        group_all: arguments.group_all,
        seed: arguments.seed,
        ..SimConfig::default()
    };
    config.client_config.ping_interval = arguments.ping_interval;
    let sim = Sim::start(config).await?;
    introduce(&sim)?;
    tokio::signal::ctrl_c().await?;
    sim.shutdown().await;
    Ok(())
}

/// What somebody needs to connect, readable for people and for scripts.
fn introduce(sim: &Sim) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let config = sim.config();
    writeln!(out, "base_url           = {:?}", sim.base_url())?;
    writeln!(out, "chat page          = {}", sim.chat_page_url())?;
    writeln!(out, "app_id             = {:?}", config.app_id)?;
    writeln!(out, "app_secret         = {:?}", config.app_secret)?;
    writeln!(out, "verification_token = {:?}", config.verification_token)?;
    if let Some(url) = &config.webhook_url {
        writeln!(out, "webhook            = {url}")?;
    }
    out.flush()
}
