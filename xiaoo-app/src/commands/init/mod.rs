//! `xiaoo-app init`: asks for what the daemon needs, tests each answer, and writes the files.
//!
//! Every answer is a flag, too, and what an earlier run wrote is the answer unless another is
//! given: so one thing can be changed alone. Secrets are no flags, since everybody on the machine
//! can read those: they are asked for, or come from the environment. Nothing is written before
//! all is known to be good.

mod answers;
mod document;
mod files;
mod missing;
mod place;
mod probe;
mod service;
mod steps;
mod talk;
mod terminal;
mod texts;

use std::io::Write;

use anyhow::{Context as _, bail};

use crate::cli::InitArgs;
use crate::clients::Clients;
use crate::commands::language;
use crate::config::{Env, locate};
use crate::render::language::Language;
use answers::{Answers, Variable};
use files::Files;
pub use missing::Missing;
pub use service::SITE_PATH;
use service::Service;
use talk::Talk;

/// Asks, tests and writes.
///
/// # Errors
/// [`Missing`] when there is nobody to ask; else what was wrong with an answer, or kept a file
/// from being written.
pub async fn run(args: &InitArgs, env: &dyn Env, out: &mut impl Write) -> anyhow::Result<()> {
    let language = language::chosen(args.language, env);
    let mut talk = Talk::begin(language, args.yes, out);
    let texts = talk.texts;
    let mut files = Files::open(&locate(args.config.as_deref(), env), texts)?;
    let is_bot_known = choose(args, &mut files)?;
    if !talk.has_person() {
        Answers::known(args, env, &files).demand(is_bot_known, language)?;
    }
    let path = files.path().display().to_string();
    talk.says(&if files.are_new() {
        (texts.makes)(&path)
    } else {
        (texts.changes)(&path)
    })?;
    if !is_bot_known {
        place::bot(files.document_mut(), &mut talk)?;
    }

    let mut answers = Answers::known(args, env, &files);
    let clients = Clients::new(answers.ca_file.clone());
    place::app(&mut answers, &mut talk, clients, args).await?;
    let clients = Clients::new(answers.ca_file.clone());
    let find_secret = |variable, is_named| Variable::new(variable, is_named, env, &files);
    place::model(&mut answers, &mut talk, clients, args, find_secret).await?;
    place::workspace(&mut answers, &mut talk)?;
    let service = Service::wanted(args, &answers, &files, &mut talk)?;

    files.take(&answers)?;
    let config = files.check(env)?;
    let changes: Vec<String> = files
        .changes()
        .into_iter()
        .chain(service.changes(texts))
        .collect();
    if changes.is_empty() {
        talk.says(&format!("\n{}", texts.written_already))?;
    } else {
        talk.says(&format!("\n{}", texts.to_be_written))?;
        talk.adds(&changes.join("\n"))?;
        if !consents(args, &files, &service, language, &mut talk)? {
            return talk.says(texts.nothing_written);
        }
        files.write()?;
        service.write(texts)?;
        answers
            .make_directories()
            .context(texts.directories_missing)?;
    }
    let name = files.document().bot();
    let bot = config.channels.iter().find(|bot| bot.instance == name);
    steps::print(&answers, &files, &service, bot, env, &mut talk)?;
    talk.ends()
}

/// Which bot of the file is meant, by the flag or because there is only one; whether that is
/// known.
fn choose(args: &InitArgs, files: &mut Files) -> anyhow::Result<bool> {
    let texts = files.texts();
    let document = files.document_mut();
    let names = document.bots();
    let Some(name) = &args.account else {
        return Ok(names.len() <= 1);
    };
    if document.choose(name).is_none() {
        bail!((texts.no_such_bot)(name, &names.join(", ")));
    }
    Ok(true)
}

/// New files are what `init` is for; those that are there are somebody's.
fn consents(
    args: &InitArgs,
    files: &Files,
    service: &Service,
    language: Language,
    talk: &mut Talk<'_, impl Write>,
) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let is_new = files.are_new() && !service.replaces();
    let texts = talk.texts;
    match talk.agrees(texts.write_this, is_new)? {
        Some(agrees) => Ok(agrees),
        None if is_new => Ok(true),
        None => Err(Missing::consent(language).into()),
    }
}
