//! `store export`: what a store holds, one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use xiaoo_store::{Body, Record, StoreReader, StoreUrl};

use super::number;
use crate::cli::StoreExportArgs;

/// Between two words on how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Writes everything out, to the file if one is named.
pub(super) fn run(
    args: &StoreExportArgs,
    url: &StoreUrl,
    out: &mut impl Write,
    progress: &mut impl Write,
) -> anyhow::Result<()> {
    // Removed when it is dropped, with the copy in it.
    let mut folder = None;
    let reader = match StoreReader::open(url) {
        Ok(reader) => reader,
        Err(error) if error.is_damage() => {
            writeln!(
                progress,
                "{error}\nA copy of it is tried, with a new first page."
            )?;
            let folder = folder.insert(beside(args.out.as_deref())?);
            StoreReader::salvage(url, folder.path())?
        }
        Err(error) => return Err(error.into()),
    };
    let mut tally = Tally::default();
    match &args.out {
        None => write_records(reader.export(), out, progress, &mut tally)?,
        Some(path) => {
            let mut file = BufWriter::new(create(path)?);
            let written = write_records(reader.export(), &mut file, progress, &mut tally)
                .and_then(|()| Ok(file.get_ref().sync_all()?));
            written.with_context(|| format!("{} is not complete", path.display()))?;
        }
    }
    writeln!(
        progress,
        "{} turns, {} sends ({} of them given up), {} rows of history, {} notes",
        number(tally.turns),
        number(tally.sends),
        number(tally.dead),
        number(tally.history),
        number(tally.notes),
    )?;
    let log = if folder.is_some() {
        "; what its log held is missing, too"
    } else {
        ""
    };
    if tally.unreadable > 0 || tally.bodies > 0 || folder.is_some() {
        bail!(
            "the store {url} is damaged: up to {} rows and {} bodies could not be read{log}",
            number(tally.unreadable),
            number(tally.bodies),
        );
    }
    Ok(())
}

/// A folder where there should be room for a copy.
fn beside(out: Option<&Path>) -> anyhow::Result<TempDir> {
    let parent = out.and_then(Path::parent);
    let folder = match parent.filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    };
    folder.context("no folder can be made for a copy")
}

/// What was written.
#[derive(Default)]
struct Tally {
    turns: u64,
    sends: u64,
    dead: u64,
    history: u64,
    notes: u64,
    /// Rows that can't be read, at most.
    unreadable: u64,
    /// Bodies that are missing, or can't be right: all but notes' are JSON.
    bodies: u64,
}

/// People's messages are in it: for its owner alone. A file that is there already may
/// be the one from before the damage.
fn create(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make the file {}", path.display()))
}

fn write_records(
    records: xiaoo_store::Export,
    out: &mut impl Write,
    progress: &mut impl Write,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut told = Instant::now();
    let mut lines: u64 = 0;
    for record in records {
        let record = record?;
        tally.count(&record);
        let may_be_anything = matches!(record, Record::Note(_));
        let line = line(record);
        let is_json = line.get("body_base64").is_none();
        tally.bodies += u64::from(!is_json && !may_be_anything);
        let mut line = line.to_string();
        line.push('\n');
        match out.write_all(line.as_bytes()) {
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        lines += 1;
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            writeln!(progress, "{} lines so far", number(lines))?;
        }
    }
    match out.flush() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

impl Tally {
    fn count(&mut self, record: &Record) {
        let mut missing = |body: &Option<Body>| self.bodies += u64::from(body.is_none());
        match record {
            Record::Turn(turn) => {
                if turn.state != "done" {
                    missing(&turn.body);
                }
                self.turns += 1;
            }
            Record::Send(send) => {
                missing(&send.body);
                self.sends += 1;
                self.dead += u64::from(send.state == "dead");
            }
            Record::History(row) => {
                missing(&row.body);
                self.history += 1;
            }
            Record::Note(note) => {
                missing(&note.body);
                self.notes += 1;
            }
            Record::Unreadable { ids, .. } => self.unreadable += ids,
        }
    }
}

/// The object of a record; `xiaoo-app store export --help` describes them.
fn line(record: Record) -> Value {
    let (mut line, body) = match record {
        Record::Turn(turn) => (
            json!({
                "type": "turn",
                "id": turn.id,
                "state": turn.state,
                "app": turn.app,
                "event_id": turn.event_id,
                "message_id": turn.message_id,
                "received_ms": turn.received_ms,
                "conversation": turn.conversation,
                "kind": turn.kind,
                "attempts": turn.attempts,
                "outcome": turn.outcome,
                "detail": turn.detail,
                "finished_ms": turn.finished_ms,
            }),
            turn.body,
        ),
        Record::Send(send) => (
            json!({
                "type": if send.state == "dead" { "dead_letter" } else { "send" },
                "id": send.id,
                "state": send.state,
                "conversation": send.conversation,
                "turn": send.turn,
                "created_ms": send.created_ms,
                "uuid": send.uuid,
                "kind": send.kind,
                "attempts": send.attempts,
                "first_try_at_ms": send.first_try_at_ms,
                "error": send.error,
            }),
            send.body,
        ),
        Record::History(row) => (
            json!({
                "type": "history",
                "id": row.id,
                "conversation": row.conversation,
                "turn": row.turn,
                "created_ms": row.created_ms,
                "role": row.role,
            }),
            row.body,
        ),
        Record::Note(note) => (
            json!({
                "type": "note",
                "version": note.version,
                "scope": note.scope,
                "key": note.key,
                "expires_ms": note.expires_ms,
            }),
            note.body,
        ),
        Record::Unreadable { table, ids } => {
            return json!({ "type": "unreadable", "table": table, "ids": ids });
        }
    };
    if let (Some(line), Some(body)) = (line.as_object_mut(), body) {
        add_body(line, &body);
    }
    line
}

/// Bodies are JSON; one that isn't is kept as it is.
fn add_body(line: &mut Map<String, Value>, body: &Body) {
    match serde_json::from_slice(body) {
        Ok(mut value) => {
            hide_secrets(&mut value);
            line.insert("body".to_owned(), value);
        }
        Err(_) => {
            let text = STANDARD.encode(&**body);
            line.insert("body_base64".to_owned(), Value::from(text));
        }
    }
}

/// Stars out what proves to us that a webhook's body is Feishu's, and whatever else is
/// called like a secret.
fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) && value.is_string() {
                    *value = Value::from("***");
                } else {
                    hide_secrets(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "token",
        "verification_token",
        "app_secret",
        "encrypt",
        "encrypt_key",
        "access_key",
        "ticket",
        "api_key",
    ];
    NAMES.contains(&name) || name.ends_with("_access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_like_a_secret_is_starred_out_at_any_depth() {
        let mut value = json!({
            "token": "planted",
            "header": { "token": "planted", "event_id": "e1" },
            "event": [{ "tenant_access_token": "planted" }, { "text": "token" }],
            "ticket": 7,
        });
        hide_secrets(&mut value);
        let expected = json!({
            "token": "***",
            "header": { "token": "***", "event_id": "e1" },
            "event": [{ "tenant_access_token": "***" }, { "text": "token" }],
            "ticket": 7,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_body_that_is_not_json_is_kept_as_it_is() {
        let mut line = Map::new();
        add_body(&mut line, &Body::from(vec![0xff, 0x00]));
        assert_eq!(Value::Object(line), json!({ "body_base64": "/wA=" }));
    }
}
