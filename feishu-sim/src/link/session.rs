//! One open connection: a task that reads, a task that writes.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use proto_core::{Frame, Limits, Method};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::{Outgoing, Ticket, ack, frames};
use crate::config::bound;
use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::shared::Shared;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) async fn run(
    shared: &Shared,
    ticket: Ticket,
    on_upgrade: OnUpgrade,
    orders: mpsc::Receiver<Outgoing>,
    kill: CancellationToken,
) {
    let reason = match on_upgrade.await {
        Err(why) => format!("upgrade failed: {why}"),
        Ok(upgraded) => {
            announce(shared, "link_up", &ticket.device_id, None);
            let mut config = WebSocketConfig::default();
            config.max_message_size = Some(bound::FRAME_BYTES_MAX);
            config.max_frame_size = Some(bound::FRAME_BYTES_MAX);
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
            let (sink, stream) = socket.split();
            let silenced = CancellationToken::new();
            let reader = read(shared, &ticket, stream, &silenced, &kill);
            let writer = write(sink, orders, &silenced, &kill);
            tokio::select! {
                reason = reader => reason,
                reason = writer => reason,
                () = kill.cancelled() => "cut".to_owned(),
            }
        }
    };
    lock(&shared.links).closed(&ticket.device_id, &reason);
    announce(shared, "link_down", &ticket.device_id, Some(&reason));
}

fn announce(shared: &Shared, kind: &'static str, connection_id: &str, reason: Option<&str>) {
    tracing::info!(connection_id, reason, "{kind}");
    shared.changes.announce(kind, || {
        json!({
            "connections": lock(&shared.links).open_count(),
            "connection_id": connection_id,
            "reason": reason,
        })
    });
}

/// Reads until the connection ends; gives the reason.
async fn read(
    shared: &Shared,
    ticket: &Ticket,
    mut stream: SplitStream<Socket>,
    silenced: &CancellationToken,
    kill: &CancellationToken,
) -> String {
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = silenced.cancelled() => {
                kill.cancelled().await;
                return "silenced, then cut".to_owned();
            }
        };
        match message {
            None => return "connection ended".to_owned(),
            Some(Err(Error::ConnectionClosed)) => return "closed".to_owned(),
            Some(Err(why)) => return format!("connection lost: {why}"),
            Some(Ok(Message::Binary(bytes))) => frame_in(shared, ticket, &bytes),
            Some(Ok(Message::Text(_))) => {
                shared.violation("text_message", "the client sent a text message");
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1005, |frame| u16::from(frame.code));
                return format!("closed by the client, code {code}");
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
        }
    }
}

/// Writes what it is told until it is told to stop; gives the reason.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut orders: mpsc::Receiver<Outgoing>,
    silenced: &CancellationToken,
    kill: &CancellationToken,
) -> String {
    while let Some(order) = orders.recv().await {
        let message = match order {
            Outgoing::Binary(bytes) => Message::Binary(bytes.into()),
            Outgoing::Text(text) => Message::Text(text.into()),
            Outgoing::Ping => Message::Ping(bytes::Bytes::from_static(b"sim")),
            Outgoing::Cut => return "cut".to_owned(),
            Outgoing::Silence => {
                silenced.cancel();
                kill.cancelled().await;
                return "silenced, then cut".to_owned();
            }
            Outgoing::Close(code) => {
                let frame = CloseFrame {
                    code: code.into(),
                    reason: "".into(),
                };
                let closing = sink.send(Message::Close(Some(frame)));
                let _ = timeout(bound::WRITE_WITHIN, closing).await;
                return format!("closed by the platform, code {code}");
            }
        };
        match timeout(bound::WRITE_WITHIN, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return format!("write failed: {why}"),
            Err(_) => return "the client does not read".to_owned(),
        }
    }
    "cut".to_owned()
}

/// One binary message from the client.
fn frame_in(shared: &Shared, ticket: &Ticket, bytes: &[u8]) {
    let frame = match Frame::decode(bytes, &Limits::default()) {
        Ok(frame) => frame,
        Err(why) => return shared.violation("frame", why.to_string()),
    };
    let missing = frames::missing_required(bytes);
    if !missing.is_empty() {
        return shared.violation("frame", format!("required fields missing: {missing:?}"));
    }
    match frame.method {
        Method::Control => control_in(shared, ticket, &frame),
        Method::Data => ack_in(shared, ticket, &frame),
        Method::Unknown(number) => {
            shared.violation("method", format!("method {number} does not exist"));
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a point is struck by its own faults only"
)]
fn control_in(shared: &Shared, ticket: &Ticket, frame: &Frame<'_>) {
    let kind = frame.header("type").unwrap_or_default();
    if kind != "ping" {
        return shared.violation("control", format!("control frame of type {kind:?}"));
    }
    if let Some(wrong) = frames::ping_fault(frame, ticket.service_id) {
        return shared.violation("ping", wrong);
    }
    let mut payload = Some(frames::config_payload(&shared.config.client_config));
    let mut is_answered = true;
    let mut is_silenced = false;
    for fault in shared.strike(Point::Pong, "pong") {
        match fault {
            FaultKind::NoPong => is_answered = false,
            FaultKind::EmptyPong => payload = None,
            FaultKind::PongPayload { payload: text } => payload = Some(text.into_bytes()),
            FaultKind::Silence => is_silenced = true,
            other => tracing::debug!(?other, "fault has no meaning here"),
        }
    }
    let mut links = lock(&shared.links);
    let Some(link) = links.link(&ticket.device_id) else {
        return;
    };
    link.note_ping();
    if is_silenced {
        link.is_silent = true;
        link.order(Outgoing::Silence);
    } else if is_answered {
        link.order(Outgoing::Binary(frames::pong(
            frame.service,
            payload.as_deref(),
        )));
    }
    drop(links);
    shared.changes.touch();
}

/// An ack; it may belong to a push on an earlier connection.
fn ack_in(shared: &Shared, ticket: &Ticket, frame: &Frame<'_>) {
    let Some(message_id) = frame.header("message_id") else {
        return shared.violation("ack_headers", "message_id is missing");
    };
    let mut links = lock(&shared.links);
    if let Some(link) = links.link(&ticket.device_id) {
        link.info.acks += 1;
    }
    let Some(pending) = links.pending.get(message_id) else {
        let is_double = links.acked.iter().any(|id| id == message_id);
        drop(links);
        if is_double {
            shared.quirk("double_ack", "a push was acked more than once");
        }
        lock(&shared.log).counts.late_acks += 1;
        return shared.changes.touch();
    };
    match ack::check(frame, pending) {
        Err(fault) => {
            drop(links);
            shared.violation(fault.rule, fault.detail);
        }
        Ok(checked) => {
            if let Some(pending) = links.pending.remove(message_id) {
                // An error means that the deadline passed this very moment.
                let _ = pending.done.send(checked.answer);
            }
            if links.acked.len() >= ACKED_MAX {
                links.acked.pop_front();
            }
            links.acked.push_back(message_id.to_owned());
            drop(links);
            for (rule, detail) in checked.quirks {
                shared.quirk(rule, detail);
            }
        }
    }
}

/// Acked pushes remembered: those of the last moments, which a client that
/// acks each part would ack again.
const ACKED_MAX: usize = 256;
