//! `xiaoo-app demo`: a local Feishu with a chat page, the daemon, and a model,
//! all on this machine.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use feishu_sim::{Sim, SimConfig};
use model_sim::{ModelSim, ModelSimConfig};
use tokio::net::TcpListener;

use crate::app::App;
use crate::cli::{DemoArgs, DemoTransport};
use crate::config::{Config, Env};

use super::daemon::stop_on_signals;

/// The variables that the demo's own configuration names.
const SECRET_VARIABLE: &str = "XIAOO_DEMO_APP_SECRET";
const KEY_VARIABLE: &str = "XIAOO_DEMO_MODEL_KEY";

/// How fast the local Feishu's redelivery schedule runs.
const TIME_SCALE: f64 = 0.1;

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// What kept it from starting, or went wrong at the end.
pub async fn run(args: &DemoArgs, env: &dyn Env, out: &mut impl Write) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let folder = tempfile::tempdir().context("no temporary folder can be made")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("no free port on 127.0.0.1")?;
    let daemon = listener
        .local_addr()
        .context("the listener has no address")?;

    writeln!(
        out,
        "xiaoO demo · {}",
        match args.model_base {
            None => "everything on this machine, nothing leaves it",
            Some(_) => "everything on this machine but your model",
        }
    )?;
    let sim = start_sim(args, daemon).await?;
    writeln!(out, "  [1/3] local Feishu      {}", sim.base_url())?;

    let (model_base, model_name, scripted) = match (&args.model_base, &args.model) {
        (Some(base), Some(model)) => {
            writeln!(out, "  [2/3] model             {model} at {base}")?;
            (base.clone(), model.clone(), None)
        }
        _ => {
            let model = ModelSim::start(ModelSimConfig::default())
                .await
                .context("the scripted model cannot start")?;
            writeln!(
                out,
                "  [2/3] model             scripted: it plays a model and is none. Use a real one with\n\
                 \x20                         --model-base URL --model NAME [--api-key-env VARIABLE]"
            )?;
            (model.base_url(), "scripted".to_owned(), Some(model))
        }
    };
    let text = config_text(args, &sim, &model_base, &model_name, folder.path());
    let env = DemoEnv {
        outer: env,
        args,
        sim: &sim,
    };
    let (config, _) = Config::parse(Path::new("demo.toml"), &text, &env)?;
    let app = App::new(config)?;
    writeln!(
        out,
        "  [3/3] daemon            http://{daemon}/ ({}; its dashboard)",
        match args.transport {
            DemoTransport::Websocket => "long connection",
            DemoTransport::Webhook => "webhook",
        }
    )?;
    writeln!(
        out,
        "\n  Open the chat page and say something:\n\n      {}\n",
        sim.chat_page_url()
    )?;
    writeln!(out, "  Ctrl-C stops everything.")?;
    out.flush()?;

    let ran = app.run(listener, stop).await;
    sim.shutdown().await;
    if let Some(model) = scripted {
        model.shutdown().await;
    }
    writeln!(out, "  Stopped.")?;
    ran
}

async fn start_sim(args: &DemoArgs, daemon: SocketAddr) -> anyhow::Result<Sim> {
    let webhook = format!("http://{daemon}/api/v1/channels/feishu/events");
    let config = |port| SimConfig {
        // Seconds become tenths, so that one can watch a redelivery.
        time_scale: TIME_SCALE,
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        webhook_url: match args.transport {
            DemoTransport::Websocket => None,
            DemoTransport::Webhook => Some(webhook.clone()),
        },
        ..SimConfig::default()
    };
    match Sim::start(config(args.port)).await {
        Ok(sim) => Ok(sim),
        // The usual port is taken: any other will do.
        Err(_) if args.port != 0 => Sim::start(config(0))
            .await
            .context("the local Feishu cannot start"),
        Err(error) => Err(error).context("the local Feishu cannot start"),
    }
}

/// A configuration like anybody's; the demo takes no short cut.
fn config_text(args: &DemoArgs, sim: &Sim, model_base: &str, model: &str, folder: &Path) -> String {
    let transport = match args.transport {
        DemoTransport::Websocket => "websocket",
        DemoTransport::Webhook => "webhook",
    };
    // A JSON string is a TOML basic string.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let key = match (&args.model_base, &args.api_key_env) {
        (Some(_), Some(_)) | (None, _) => format!("api_key_env = \"{KEY_VARIABLE}\"\n"),
        (Some(_), None) => String::new(),
    };
    format!(
        "[llm]\nprovider = \"openai-compatible\"\napi_base = {base}\nmodel = {model}\n{key}max_tokens = 4096\n\
         [channels.feishu]\nenabled = true\ntransport = \"{transport}\"\napp_id = {app}\n\
         app_secret_env = \"{SECRET_VARIABLE}\"\nverification_token = {token}\nbase_url = {feishu}\n\
         [agents]\ndefault_agent_id = \"main\"\n[[agents.list]]\nid = \"main\"\ndefault = true\n\
         workspace = {folder}\nagent_dir = {folder}\n",
        base = quoted(model_base),
        model = quoted(model),
        app = quoted(&sim.config().app_id),
        token = quoted(&sim.config().verification_token),
        feishu = quoted(&sim.base_url()),
        folder = quoted(&folder.display().to_string()),
    )
}

/// The environment, with the demo's own two variables in front.
struct DemoEnv<'a> {
    outer: &'a dyn Env,
    args: &'a DemoArgs,
    sim: &'a Sim,
}

impl Env for DemoEnv<'_> {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            SECRET_VARIABLE => Some(self.sim.config().app_secret.clone()),
            KEY_VARIABLE => match &self.args.api_key_env {
                Some(name) => self.outer.var(name),
                None => Some("scripted".to_owned()),
            },
            other => self.outer.var(other),
        }
    }
}
