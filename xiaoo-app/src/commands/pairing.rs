//! `xiaoo-app pairing`: who may talk to a bot, said by the operator beside the daemon.

use std::io::Write;

use anyhow::{Context as _, bail};
use runtime_tokio::WallClock;
use serde::Deserialize;
use serde_json::{Value, json};
use xiaoo_store::{NoteRecord, NotesBeside, OpenError, Record, StoreReader, StoreUrl};

use crate::cli::{PairingCommand, PairingPlaceArgs};
use crate::config::{Config, ConfigErrors, Env, locate};
use crate::pipeline::pairing::{self, CODES, Change, NOTE, PAIRED, Paired, Stranger};
use crate::render::time::time;
use crate::store::explain;

/// The store of one bot.
pub struct Desk {
    /// The bot's name; `None` for a store that was named itself.
    instance: Option<String>,
    url: StoreUrl,
}

/// The stores that are meant.
///
/// # Errors
/// What is wrong with the configuration that should say so.
pub fn desks(place: &PairingPlaceArgs, env: &dyn Env) -> Result<Vec<Desk>, ConfigErrors> {
    if place.store.store.is_some() {
        let url = super::store::url(&place.store, env)?;
        return Ok(vec![Desk {
            instance: None,
            url,
        }]);
    }
    let stores = Config::stores(&locate(place.store.config.as_deref(), env), env)?;
    let desk = |(instance, url)| Desk {
        instance: Some(instance),
        url,
    };
    Ok(stores.into_iter().map(desk).collect())
}

/// Runs one of the `pairing` commands. Blocks, and must not be called in a runtime.
///
/// # Errors
/// What keeps it from being done, or that nobody is meant.
pub fn run(command: &PairingCommand, desks: &[Desk], out: &mut impl Write) -> anyhow::Result<()> {
    let desks = meant(desks, command.place().instance.as_deref())?;
    let now_ms = WallClock::default().unix_ms();
    match command {
        PairingCommand::List(args) if args.json => {
            let people = listed(&desks, now_ms)?;
            writeln!(out, "{}", as_json(&people))?;
        }
        PairingCommand::List(_) => write_list(&listed(&desks, now_ms)?, out)?,
        PairingCommand::Approve(args) => approve(&desks, args.code.trim(), now_ms, out)?,
        PairingCommand::Revoke(args) => revoke(&desks, args.open_id.trim(), now_ms, out)?,
    }
    Ok(())
}

/// All of them, or the one of that bot.
fn meant<'a>(desks: &'a [Desk], instance: Option<&str>) -> anyhow::Result<Vec<&'a Desk>> {
    let is_meant = |desk: &&Desk| instance.is_none() || desk.instance.as_deref() == instance;
    let meant: Vec<_> = desks.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let names = desks.iter().filter_map(|desk| desk.instance.as_deref());
        let names: Vec<_> = names.collect();
        bail!("there is no such bot; there are: {}", names.join(", "));
    }
    Ok(meant)
}

/// Opens the stores that are there: a bot that never ran has none, and nobody to talk of.
fn opened<'a, T>(
    desks: &[&'a Desk],
    open: impl Fn(&StoreUrl) -> Result<T, OpenError>,
) -> anyhow::Result<Vec<(&'a Desk, T)>> {
    let mut there = Vec::with_capacity(desks.len());
    let mut none = None;
    for desk in desks {
        match open(&desk.url) {
            Ok(store) => there.push((*desk, store)),
            Err(error @ OpenError::NoStore { .. }) => none = Some(error),
            Err(error) => return Err(explain(&desk.url, error)),
        }
    }
    match none {
        Some(error) if there.is_empty() => Err(error.into()),
        Some(_) | None => Ok(there),
    }
}

fn approve(desks: &[&Desk], code: &str, now_ms: i64, out: &mut impl Write) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for (desk, notes) in opened(desks, NotesBeside::open)? {
        let note = notes.note(&pairing::code(code), NOTE, now_ms)?;
        let stranger: Option<Stranger> = note.and_then(|note| read(&note.body));
        found.extend(stranger.map(|stranger| (desk, notes, stranger.open_id)));
    }
    if found.len() > 1 {
        bail!("several bots have given that code away: say which is meant by --instance");
    }
    let Some((desk, mut notes, open_id)) = found.pop() else {
        bail!(
            "nobody has the code {code:?}; it may be too old, and whoever writes to the bot again \
             gets a new one. Those who wait: xiaoo-app pairing list"
        );
    };
    apply(
        &mut notes,
        pairing::let_in(&open_id, code, None, now_ms),
        now_ms,
    )?;
    writeln!(out, "{open_id} is let in{}.", at(desk))?;
    Ok(())
}

fn revoke(desks: &[&Desk], open_id: &str, now_ms: i64, out: &mut impl Write) -> anyhow::Result<()> {
    let mut was_let_in = false;
    for (desk, mut notes) in opened(desks, NotesBeside::open)? {
        let paired = notes.note(&pairing::paired(open_id), NOTE, now_ms)?;
        let paired: Option<Paired> = paired.and_then(|note| read(&note.body));
        let code = notes.note(&pairing::code_of(open_id), NOTE, now_ms)?;
        let code: Option<String> = code.and_then(|note| read(&note.body));
        let changes = pairing::shut_out(open_id, code.as_deref());
        apply(&mut notes, changes, now_ms)?;
        if paired.is_some_and(|paired| paired.holds()) {
            was_let_in = true;
            writeln!(out, "{open_id} is no longer let in{}.", at(desk))?;
        }
    }
    if !was_let_in {
        bail!(
            "{open_id} was not let in by a code: xiaoo-app pairing list. Who is in `allow_users` \
             or `admins` is let in by the configuration"
        );
    }
    Ok(())
}

fn apply(notes: &mut NotesBeside, changes: Vec<Change>, now_ms: i64) -> anyhow::Result<()> {
    for change in changes {
        let done = match change {
            Change::Put(put) => notes.put(put).map(drop),
            Change::Delete(scope) => notes.delete(&scope, NOTE, now_ms).map(drop),
        };
        done.context("not all of it was written; run it again")?;
    }
    Ok(())
}

/// Somebody whom a bot knows by a code.
struct Person<'a> {
    desk: &'a Desk,
    open_id: String,
    standing: Standing,
}

enum Standing {
    LetIn(Paired),
    Waits { code: String, until_ms: Option<i64> },
}

fn listed<'a>(desks: &[&'a Desk], now_ms: i64) -> anyhow::Result<Vec<Person<'a>>> {
    let mut people = Vec::new();
    for (desk, reader) in opened(desks, StoreReader::open)? {
        for record in reader.export_notes() {
            let Record::Note(note) = record? else {
                continue;
            };
            let is_over = note.expires_ms.is_some_and(|expires| expires <= now_ms);
            if !is_over && let Some((open_id, standing)) = person(&note) {
                people.push(Person {
                    desk,
                    open_id,
                    standing,
                });
            }
        }
    }
    Ok(people)
}

/// Whom a note is about, if it is one of these.
fn person(note: &NoteRecord) -> Option<(String, Standing)> {
    let body = note.body.as_ref()?;
    if let Some(open_id) = note.scope.strip_prefix(PAIRED) {
        let paired: Paired = read(body)?;
        let standing = paired.holds().then_some(Standing::LetIn(paired))?;
        return Some((open_id.to_owned(), standing));
    }
    let code = note.scope.strip_prefix(CODES)?;
    let Stranger { open_id } = read(body)?;
    let standing = Standing::Waits {
        code: code.to_owned(),
        until_ms: note.expires_ms,
    };
    Some((open_id, standing))
}

/// One of a later version says nothing here.
fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn write_list(people: &[Person<'_>], out: &mut impl Write) -> std::io::Result<()> {
    if people.is_empty() {
        return writeln!(out, "Nobody was let in by a code, and nobody waits for it.");
    }
    for Person {
        desk,
        open_id,
        standing,
    } in people
    {
        let what = match standing {
            Standing::LetIn(Paired::Only(_)) => "let in".to_owned(),
            Standing::LetIn(Paired::Told { by, at_ms }) => {
                let by = by.as_deref().unwrap_or("the operator");
                format!("let in by {by}, {}", time(*at_ms))
            }
            Standing::Waits { code, until_ms } => {
                let until = until_ms.map_or_else(String::new, |until| {
                    format!(", which holds until {}", time(until))
                });
                format!("waits with the code {code}{until}")
            }
        };
        writeln!(out, "{open_id}  {what}{}", at(desk))?;
    }
    Ok(())
}

fn as_json(people: &[Person<'_>]) -> Value {
    let (mut let_in, mut waiting) = (Vec::new(), Vec::new());
    for Person {
        desk,
        open_id,
        standing,
    } in people
    {
        let instance = &desk.instance;
        match standing {
            Standing::LetIn(paired) => {
                let (by, at_ms) = match paired {
                    Paired::Told { by, at_ms } => (by.as_deref(), Some(at_ms)),
                    Paired::Only(_) => (None, None),
                };
                let_in.push(json!({
                    "open_id": open_id, "instance": instance, "by": by, "at_ms": at_ms,
                }));
            }
            Standing::Waits { code, until_ms } => waiting.push(json!({
                "open_id": open_id, "instance": instance, "code": code, "until_ms": until_ms,
            })),
        }
    }
    json!({ "let_in": let_in, "waiting": waiting })
}

/// At which bot.
fn at(desk: &Desk) -> String {
    let name = desk.instance.as_deref();
    name.map_or_else(String::new, |name| format!(" at {name}"))
}
