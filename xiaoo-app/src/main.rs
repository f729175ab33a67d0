//! `xiaoo-app`: arguments in, exit status out.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
use xiaoo_app::cli::{Cli, Command, LogArgs, write_completions};
use xiaoo_app::commands::{daemon, demo, doctor, init, inspect, pairing, skill, store};
use xiaoo_app::config::{Config, ProcessEnv, locate};
use xiaoo_app::telemetry;

/// Usage and configuration errors; the same number as clap's.
const BAD_USAGE: u8 = 2;
/// Threads for sockets and turns; the database has its own. Two carry tens of
/// thousands of events a second, and each costs memory.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // Before all else, while there is one thread: a helper gives up its rights.
    if let Some(code) = xiaoo_agent::sandbox::entered(env::args_os()) {
        return code;
    }
    let cli = Cli::parse();
    let env = ProcessEnv;
    let ended = match &cli.command {
        Command::Daemon(args) => {
            let path = locate(args.config.as_deref(), &env);
            let (config, warnings) = match Config::load(&path, &env) {
                Ok(loaded) => loaded,
                Err(errors) => {
                    say(&errors.to_string());
                    return ExitCode::from(BAD_USAGE);
                }
            };
            log(args.log);
            in_runtime(daemon::run(args, config, &warnings, &env))
        }
        Command::Demo(args) => {
            log(args.log);
            in_runtime(demo::run(args, &env, &mut io::stdout()))
        }
        Command::Doctor(args) => until_answered(doctor::run(args, &env, &mut io::stdout())),
        Command::Init(args) => in_runtime(init::run(args, &env, &mut io::stdout())),
        Command::Inspect(command) => {
            inspect::run(command, &env, io::stdin().lock(), io::stdout().lock())
        }
        Command::Store(command) => {
            let url = match store::url(command.args(), &env) {
                Ok(url) => url,
                Err(errors) => {
                    say(&errors.to_string());
                    return ExitCode::from(BAD_USAGE);
                }
            };
            store::run(command, &url, &mut io::stdout().lock(), &mut io::stderr())
        }
        Command::Pairing(command) => {
            let desks = match pairing::desks(command.place(), &env) {
                Ok(desks) => desks,
                Err(errors) => {
                    say(&errors.to_string());
                    return ExitCode::from(BAD_USAGE);
                }
            };
            pairing::run(command, &desks, &mut io::stdout().lock())
        }
        Command::Skill(command) => {
            let places = match skill::Places::find(command.place(), &env) {
                Ok(places) => places,
                Err(errors) => {
                    say(&errors.to_string());
                    return ExitCode::from(BAD_USAGE);
                }
            };
            skill::run(command, &places, &mut io::stdout().lock())
        }
        Command::Completions(args) => {
            write_completions(args.shell, &mut io::stdout()).map_err(Into::into)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xiaoo-app: {error:#}"));
            if error.is::<init::Missing>() {
                return ExitCode::from(BAD_USAGE);
            }
            ExitCode::FAILURE
        }
    }
}

fn log(args: LogArgs) {
    for complaint in telemetry::init(args.format, &ProcessEnv) {
        say(&format!("xiaoo-app: {complaint}"));
    }
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    runtime()?.block_on(work)
}

/// Nobody waits for what has no end, such as a name that a silent server is asked for.
fn until_answered(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    ended
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
}

/// To the person at the terminal. Nothing can be done if that fails.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}
