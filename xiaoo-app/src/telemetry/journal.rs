//! Lines to systemd's journal, every fact a field of the entry.
//!
//! | field | what |
//! | --- | --- |
//! | `MESSAGE` | the line as it reads elsewhere, its facts behind it: all that `journalctl` shows |
//! | `PRIORITY` | 3 error, 4 warning, 6 info, 7 debug and trace |
//! | `F_…` | each fact by its name, those of the turn around it too: `F_CHANNEL`, `F_MESSAGE_ID` |
//! | `TARGET`, `CODE_FILE`, `CODE_LINE` | where in the program |
//!
//! A journal that is slow is waited for, as anybody is who reads stderr; what is said while it is
//! down is lost.

use core::fmt;
use std::io::{self, stderr};

use tracing::field::{Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::FormatFields as _;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::line::one_line;
use crate::config::Env;

/// What `journalctl -t` knows the lines by, under whatever name the program was started.
const IDENTIFIER: &str = "xiaoo-app";

/// The journal.
pub(super) struct Journal(tracing_journald::Layer);

impl Journal {
    /// Connects to it.
    pub(super) fn open() -> io::Result<Self> {
        let layer = tracing_journald::layer()?
            .with_syslog_identifier(IDENTIFIER.to_owned())
            .with_priority_mappings(PriorityMappings {
                info: Priority::Informational,
                debug: Priority::Debug,
                ..PriorityMappings::new()
            });
        Ok(Self(layer))
    }
}

impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let facts = Facts::of(event);
        let values = facts.values();
        // What the macros of `tracing` expand to: the same event, with another message.
        let values = metadata.fields().value_set_all(&values);
        self.0.on_event(&Event::new(metadata, &values), context);
    }
}

/// Whether what goes to stderr comes into the journal: systemd says so, and nobody has led it
/// elsewhere since (systemd.exec(5), `$JOURNAL_STREAM`).
pub(super) fn is_stderr(env: &dyn Env) -> bool {
    let Ok(file) = rustix::fs::fstat(stderr()) else {
        return false;
    };
    is_stream(env, (file.st_dev, file.st_ino))
}

fn is_stream(env: &dyn Env, (device, inode): (u64, u64)) -> bool {
    let stream = env.var("JOURNAL_STREAM");
    stream.is_some_and(|stream| stream.trim() == format!("{device}:{inode}"))
}

/// The values of an event in the order of its fields, the message as people read it.
struct Facts(Vec<Option<String>>);

impl Facts {
    fn of(event: &Event<'_>) -> Self {
        let fields = event.metadata().fields();
        let mut facts = Self(vec![None; fields.len()]);
        event.record(&mut facts);
        if let Some(message) = fields.field("message") {
            facts.put(&message, one_line(&line(event)).into_owned());
        }
        facts
    }

    fn put(&mut self, field: &Field, value: String) {
        if let Some(place) = self.0.get_mut(field.index()) {
            *place = Some(value);
        }
    }

    fn values(&self) -> Vec<Option<&dyn Value>> {
        let values = self.0.iter().map(Option::as_ref);
        values
            .map(|value| value.map(|value| value as &dyn Value))
            .collect()
    }
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// The message with its facts behind it, as in the text format.
fn line(event: &Event<'_>) -> String {
    let mut line = String::new();
    // Writing to a String doesn't fail.
    let _ = DefaultFields::new().format_fields(Writer::new(&mut line), event);
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn stderr_is_the_journal_where_systemd_says_so_of_this_very_file() {
        for (stream, expected) in [
            (Some("9:35671"), true),
            (Some("9:35672"), false),
            (Some("8:35671"), false),
            (Some("9"), false),
            (Some(""), false),
            (None, false),
        ] {
            let env = |name: &str| {
                let value = (name == "JOURNAL_STREAM").then_some(stream)?;
                value.map(str::to_owned)
            };
            assert_eq!(is_stream(&env, (9, 35671)), expected, "{stream:?}");
        }
    }

    /// The facts of one event, by their names.
    type Named = Vec<(String, String)>;

    /// Keeps what the facts of each event are.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Named>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let facts = Facts::of(event);
            let names = event.metadata().fields().iter();
            let named = names
                .zip(facts.0)
                .filter_map(|(field, value)| Some((field.name().to_owned(), value?)));
            self.0.lock().unwrap().push(named.collect());
        }
    }

    #[test]
    fn the_message_reads_as_elsewhere_and_each_fact_stands_alone() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone());
        tracing::subscriber::with_default(subscriber, || {
            let reason = io::Error::other("one\ntwo");
            tracing::warn!(attempt = 3, host = "h", %reason, left = Option::<u8>::None, "link {}", "down");
            tracing::info!("plain");
        });
        let kept = kept.0.lock().unwrap().clone();
        let facts = |facts: &[(&str, &str)]| -> Named {
            let owned = facts
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            owned.collect()
        };
        assert_eq!(
            kept,
            [
                facts(&[
                    ("message", "link down attempt=3 host=\"h\" reason=one\\ntwo"),
                    ("attempt", "3"),
                    ("host", "h"),
                    ("reason", "one\ntwo"),
                ]),
                facts(&[("message", "plain")]),
            ]
        );
    }
}
