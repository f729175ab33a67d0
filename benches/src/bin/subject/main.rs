//! Our transports on one thread, with the work of a real receiver: repeats are
//! dropped, messages are normalised and handed on into a bounded queue.
//!
//! `subject link`, `subject hook` or `subject hook-encrypted`, with the port in
//! `BENCH_PORT`.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use benches::inputs::{APP_ID, BOT_OPEN_ID, ENCRYPT_KEY};
use proto_core::{HostPolicy, Identity, InboundMessage};
use runtime_tokio::link::{
    Dialer, EndpointAnswer, EndpointSource, LinkOptions, LinkStatus, TlsSource,
};
use runtime_tokio::server::{ServerLimits, serve};
use runtime_tokio::webhook::{EventRoute, EventRoutes, WebhookLimits, WebhookStats};
use runtime_tokio::{InboundEvent, Ingress, Verdict};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages that wait for whoever answers them.
const QUEUE: usize = 1024;
/// Ids that are remembered to drop repeats.
const SEEN_MAX: usize = 8192;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let port: u16 = std::env::var("BENCH_PORT")?.parse()?;
    let (queue, mut messages) = mpsc::channel(QUEUE);
    tokio::spawn(async move { while messages.recv().await.is_some() {} });
    let receiver = Arc::new(Receiver {
        seen: Mutex::default(),
        queue,
    });
    let stop = CancellationToken::new();
    if kind == "link" {
        let core = proto_core::Config {
            hosts: HostPolicy {
                loopback: true,
                also: None,
            },
            ..proto_core::Config::default()
        };
        let options = LinkOptions {
            core,
            dialer: Dialer::tcp(TlsSource::new(|| Err("no TLS on loopback".into()))),
            clock: runtime_tokio::WallClock::default(),
        };
        let status = LinkStatus::default();
        runtime_tokio::link::run(options, Loopback(port), receiver, status, stop).await;
        return Ok(());
    }
    let key = (kind == "hook-encrypted").then_some(ENCRYPT_KEY);
    let route = EventRoute::new(
        benches::ours::verifier(key),
        receiver,
        WebhookLimits::default(),
        Arc::new(WebhookStats::default()),
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let routes = EventRoutes::new([("/webhook/event", route)], Router::new());
    serve(listener, routes, ServerLimits::default(), stop).await;
    Ok(())
}

/// The endpoint call's answer without the call.
struct Loopback(u16);

impl EndpointSource for Loopback {
    async fn fetch(&self) -> Option<EndpointAnswer> {
        let url = format!("ws://127.0.0.1:{}/ws?device_id=1&service_id=1", self.0);
        Some(EndpointAnswer {
            status: 200,
            body: format!("{{\"code\":0,\"data\":{{\"URL\":\"{url}\"}}}}").into(),
        })
    }
}

struct Receiver {
    seen: Mutex<Seen>,
    queue: mpsc::Sender<InboundMessage>,
}

impl Ingress for Receiver {
    async fn accept(&self, event: InboundEvent<'_>) -> Verdict {
        let Ok(event) = event.event else {
            return Verdict::Accepted;
        };
        let identity = Identity {
            open_id: BOT_OPEN_ID,
            app_id: APP_ID,
        };
        let Some(message) = InboundMessage::from_event(event, identity) else {
            return Verdict::Accepted;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.insert(&message.dedup_key) {
            return Verdict::Accepted;
        }
        match self.queue.try_send(message) {
            Ok(()) => Verdict::Accepted,
            Err(_) => Verdict::Refused,
        }
    }
}

/// The last ids, in order.
#[derive(Default)]
struct Seen {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
