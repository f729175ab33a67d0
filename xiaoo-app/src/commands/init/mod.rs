//! `xiaoo-app init`: asks for what the daemon needs, tests each answer, and writes the files.
//!
//! Every answer is a flag, too, and what an earlier run wrote is the answer unless another is
//! given: so one thing can be changed alone. Secrets are no flags, since everybody on the machine
//! can read those: they are asked for, or come from the environment. Nothing is written before
//! all is known to be good.

mod answers;
mod files;
mod place;
mod probe;
mod service;
mod steps;
mod terminal;

use std::io::Write;

use anyhow::Context as _;

use crate::cli::InitArgs;
use crate::clients::Clients;
use crate::config::{Env, locate};
pub use answers::Missing;
use answers::{Answers, Secret};
use files::Files;
use service::Service;
pub use service::{SITE_PATH, UNIT_PATH};
use terminal::Person;

/// Asks, tests and writes.
///
/// # Errors
/// [`Missing`] when there is nobody to ask; else what was wrong with an answer, or kept a file
/// from being written.
pub async fn run(args: &InitArgs, env: &dyn Env, out: &mut impl Write) -> anyhow::Result<()> {
    let path = locate(args.config.as_deref(), env);
    let mut files = Files::open(&path)?;
    let mut person = Person::at_terminal(args.yes);
    let mut answers = Answers::known(args, env, &files);
    if person.is_none() {
        answers.demand()?;
    }
    writeln!(
        out,
        "{} {}. Enter keeps what is in [brackets]; Ctrl-C stops, and nothing is written.",
        if files.are_new() { "New:" } else { "Changing" },
        path.display()
    )?;

    let clients = Clients::new(answers.ca_file.clone());
    place::app(&mut answers, person.as_mut(), clients, args, out).await?;
    let clients = Clients::new(answers.ca_file.clone());
    let find_secret = |variable| Secret::new(variable, env, &files);
    place::model(
        &mut answers,
        person.as_mut(),
        clients,
        args,
        find_secret,
        out,
    )
    .await?;
    place::workspace(&mut answers, person.as_mut(), out)?;
    let service = Service::wanted(args, &answers, &path, person.as_mut(), out)?;

    files.take(&answers)?;
    files.check(env)?;
    let changes: Vec<String> = files
        .changes()
        .into_iter()
        .chain(service.changes()?)
        .collect();
    if changes.is_empty() {
        writeln!(out, "\nAll of it is written already.")?;
    } else {
        writeln!(out, "\nTo be written:")?;
        for change in &changes {
            writeln!(out, "  {change}")?;
        }
        if !consents(person.as_mut(), args, &files, &service, out)? {
            writeln!(out, "Nothing was written.")?;
            return Ok(());
        }
        files.write()?;
        service.write()?;
        answers
            .make_directories()
            .context("the files are written, but not all directories are there")?;
    }
    steps::print(&answers, &files, &service, out)?;
    out.flush()?;
    Ok(())
}

/// New files are what `init` is for; those that are there are somebody's.
fn consents(
    person: Option<&mut Person>,
    args: &InitArgs,
    files: &Files,
    service: &Service,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let is_new = files.are_new() && !service.replaces();
    match person {
        Some(person) => person.agrees("Write this?", is_new, out),
        None if is_new => Ok(true),
        None => Err(Missing::consent().into()),
    }
}
