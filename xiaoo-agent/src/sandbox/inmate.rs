//! The process that gives up its rights and becomes the command.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, set_parent_process_death_signal, umask};
use rustix::stdio::dup2_stdin;

use super::order::Order;
use super::{Enforcement, calls, files, limits};

pub(super) const PART: &str = "inmate";

/// Standard input is for the reason why not; it closes when the command begins.
pub(super) fn main(order: &str) -> ExitCode {
    // No file but the three is open in the command, whoever opened it for whom.
    close_fds::set_fds_cloexec(FIRST_OTHER, &[]);
    let Ok(refusal) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let why = match become_command(order) {
        Ok(never) => match never {},
        Err(why) => why,
    };
    // Nobody is left to be told that nobody was told.
    let _ = std::fs::File::from(refusal).write_all(why.to_string().as_bytes());
    ExitCode::FAILURE
}

fn become_command(order: &str) -> Result<core::convert::Infallible, Box<dyn core::error::Error>> {
    let order: Order = serde_json::from_str(order)?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())?;
    dup2_stdin(nothing)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    umask(Mode::RWXG | Mode::RWXO);
    limits::apply(&order.policy.limits)?;
    match order.policy.enforcement {
        Enforcement::Required => {
            let signals = files::restrict(&order.policy)?;
            limits::drop_capabilities()?;
            calls::restrict(order.policy.network, signals)?;
        }
        Enforcement::Waived => {}
    }
    let (program, arguments) = order.command.split_first().ok_or("no command was given")?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!("{program}: {error}").into())
}

/// After standard input, output and error.
const FIRST_OTHER: i32 = 3;
