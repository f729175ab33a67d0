//! The connection to one server: made, kept, and made again when it is lost.

use core::fmt;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, PaginatedRequestParams, ProtocolVersion,
    SubscriptionFilter, Tool,
};
use rmcp::service::{
    ClientCacheConfig, ClientLifecycleMode, NotificationContext, RunningService, ServiceError,
    serve_client_with_lifecycle,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, Peer, RoleClient};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::child::ChildTransport;
use super::offer::{Offer, offers};
use super::settings::{McpEndpoint, McpServer, McpTransport};
use super::{MESSAGE_BYTES_MAX, describe};

/// How long a connection may take until its tools are listed. Programs that fetch themselves
/// first, as `npx` and `uvx` do, take their time.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// How long listing the tools may take again.
const LIST_WITHIN: Duration = Duration::from_secs(30);
/// How long a server that is let go may take; then it is dropped.
const CLOSE_WITHIN: Duration = Duration::from_secs(6);
/// The first wait before another try, doubled each time up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(300);
/// A connection that lasted so long was a good one: the next wait is the first again.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Servers that say that their tools changed are asked at most so often.
const CHANGES_EVERY: Duration = Duration::from_secs(1);
/// Servers that say nothing are asked so often, which also shows whether they are there.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// Pages of one list of tools; there should be one or two.
const PAGES_MAX: usize = 32;
/// Tools of one list that are looked at, before what is not wanted is left out.
const LISTED_MAX: usize = 1024;
/// The longest wait of the HTTP transport before it asks for its stream again.
const STREAM_RETRY_LONGEST: Duration = Duration::from_secs(60);

/// One server, as its tools and its task see it.
pub(super) struct Server {
    pub(super) name: Arc<str>,
    pub(super) settings: McpServer,
    link: watch::Sender<Link>,
    /// A call failed in a way that says that the connection may be gone.
    suspected: Notify,
}

impl Server {
    pub(super) fn new(settings: McpServer) -> Self {
        Self {
            name: settings.name.as_str().into(),
            settings,
            link: watch::Sender::new(Link::Connecting),
            suspected: Notify::new(),
        }
    }

    pub(super) fn link(&self) -> Link {
        self.link.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Has the connection looked at.
    pub(super) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Keeps the connection until `cancel` fires.
    pub(super) async fn run(self: Arc<Self>, http: reqwest::Client, cancel: CancellationToken) {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let lost = self.live(&http, &cancel).await;
            let Lost::Failed(why) = lost else { return };
            if started.elapsed() > STABLE_AFTER {
                failures = 0;
            }
            failures += 1;
            tracing::warn!(
                server = &*self.name,
                failures,
                why,
                "an MCP server is not there"
            );
            self.link.send_replace(Link::Down { why, failures });
            tokio::select! {
                () = sleep(wait_after(failures)) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// One connection, from its first byte to its end.
    async fn live(&self, http: &reqwest::Client, cancel: &CancellationToken) -> Lost {
        let changed = Arc::new(Notify::new());
        let connecting = timeout(CONNECT_WITHIN, async {
            let service = self.connect(http, &changed).await?;
            let tools = self.list(service.peer()).await?;
            Ok((service, tools))
        });
        let connected = tokio::select! {
            connected = connecting => connected,
            () = cancel.cancelled() => return Lost::LetGo,
        };
        match connected {
            Err(_) => Lost::Failed(format!("it did not answer within {CONNECT_WITHIN:?}")),
            Ok(Err(why)) => Lost::Failed(why),
            Ok(Ok((service, tools))) => self.keep(service, tools, changed, cancel).await,
        }
    }

    /// Servers of 2026 are asked what they speak. Older ones answer that they do not know the
    /// question, which is the same connection's way to the old handshake; those that fall over
    /// the question are spared it on a second one.
    async fn connect(
        &self,
        http: &reqwest::Client,
        changed: &Arc<Notify>,
    ) -> Result<RunningService<RoleClient, Client>, String> {
        let asking = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        let service = match self.open(http, changed, asking).await {
            Ok(service) => service,
            Err(why) => {
                tracing::debug!(
                    server = &*self.name,
                    why,
                    "an MCP server is tried the old way"
                );
                self.open(http, changed, ClientLifecycleMode::Initialize)
                    .await?
            }
        };
        let no_cache = ClientCacheConfig::disabled();
        service.peer().set_response_cache_config(no_cache).await;
        Ok(service)
    }

    async fn open(
        &self,
        http: &reqwest::Client,
        changed: &Arc<Notify>,
        lifecycle: ClientLifecycleMode,
    ) -> Result<RunningService<RoleClient, Client>, String> {
        let client = Client {
            changed: Arc::clone(changed),
        };
        let opened = match &self.settings.transport {
            McpTransport::Stdio(command) => {
                let transport = ChildTransport::start(&self.name, command)
                    .map_err(|error| format!("its program can't be started: {error}"))?;
                serve_client_with_lifecycle(client, transport, lifecycle).await
            }
            McpTransport::Http(endpoint) => {
                let transport =
                    StreamableHttpClientTransport::with_client(http.clone(), http_config(endpoint));
                serve_client_with_lifecycle(client, transport, lifecycle).await
            }
        };
        opened.map_err(|error| describe(&error, &self.settings))
    }

    /// Keeps a connection that is open, and its tools up to date.
    async fn keep(
        &self,
        service: RunningService<RoleClient, Client>,
        tools: Arc<[Offer]>,
        changed: Arc<Notify>,
        cancel: &CancellationToken,
    ) -> Lost {
        let peer = service.peer().clone();
        let stop = service.cancellation_token();
        let mut ended = pin!(service.waiting());
        let protocol = peer
            .peer_info()
            .map(|info| info.protocol_version.to_string());
        let protocol = protocol.unwrap_or_default();
        let count = tools.len();
        tracing::info!(
            server = &*self.name,
            protocol,
            tools = count,
            "an MCP server is connected"
        );
        let mut up = Up {
            peer: peer.clone(),
            tools,
            protocol: protocol.into(),
        };
        self.link.send_replace(Link::Up(up.clone()));
        // Ends with this function.
        let mut listening = JoinSet::new();
        listening.spawn(listen(peer.clone(), Arc::clone(&changed)));
        let mut listed_at = Instant::now();
        let mut list_at = listed_at + REFRESH_EVERY;
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    stop.cancel();
                    let _ = timeout(CLOSE_WITHIN, &mut ended).await;
                    return Lost::LetGo;
                }
                _ = &mut ended => return Lost::Failed("it closed the connection".into()),
                () = changed.notified() => list_at = list_at.min(listed_at + CHANGES_EVERY),
                () = self.suspected.notified() => list_at = Instant::now(),
                () = sleep_until(list_at) => {
                    let listed = tokio::select! {
                        listed = timeout(LIST_WITHIN, self.list(&peer)) => listed,
                        _ = &mut ended => return Lost::Failed("it closed the connection".into()),
                        () = cancel.cancelled() => continue,
                    };
                    match listed {
                        Ok(Ok(tools)) => up.tools = tools,
                        Ok(Err(why)) => return Lost::Failed(why),
                        Err(_) => return Lost::Failed(format!("it did not list its tools within {LIST_WITHIN:?}")),
                    }
                    self.link.send_replace(Link::Up(up.clone()));
                    listed_at = Instant::now();
                    list_at = listed_at + REFRESH_EVERY;
                }
            }
        }
    }

    /// All tools that are offered.
    async fn list(&self, peer: &Peer<RoleClient>) -> Result<Arc<[Offer]>, String> {
        let mut listed: Vec<Tool> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = match peer.list_tools(Some(page)).await {
                Ok(page) => page,
                // A server that has no tools may not know the question.
                Err(ServiceError::McpError(error)) if is_unknown_method(&error) => break,
                Err(error) => return Err(describe(&error, &self.settings)),
            };
            let room = LISTED_MAX.saturating_sub(listed.len());
            listed.extend(page.tools.into_iter().take(room));
            cursor = page.next_cursor;
            if cursor.is_none() || listed.len() >= LISTED_MAX {
                break;
            }
        }
        Ok(offers(&self.settings, listed).into())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// How it stands with a server.
#[derive(Clone)]
pub(super) enum Link {
    /// It has not been reached yet.
    Connecting,
    /// It is there.
    Up(Up),
    /// It is not.
    Down { why: String, failures: u32 },
}

/// A server that is there.
#[derive(Clone)]
pub(super) struct Up {
    pub(super) peer: Peer<RoleClient>,
    pub(super) tools: Arc<[Offer]>,
    pub(super) protocol: Arc<str>,
}

/// Why a connection is over.
enum Lost {
    Failed(String),
    LetGo,
}

/// Our side of a connection: it offers nothing, and hears of new tools.
#[derive(Debug)]
struct Client {
    changed: Arc<Notify>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("xiaoo", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

fn http_config(endpoint: &McpEndpoint) -> StreamableHttpClientTransportConfig {
    let mut backoff = ExponentialBackoff::default();
    backoff.max_delay = Some(STREAM_RETRY_LONGEST);
    // Checked at the start: none is left out here.
    let headers = endpoint.parsed_headers().unwrap_or_default();
    let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint.url.expose_secret())
        .custom_headers(headers.into_iter().collect())
        .max_sse_event_size(MESSAGE_BYTES_MAX)
        .max_json_response_size(MESSAGE_BYTES_MAX);
    config.retry_config = Arc::new(backoff);
    config
}

/// Hears of new tools from servers that want to be asked for it; older ones say so by themselves.
async fn listen(peer: Peer<RoleClient>, changed: Arc<Notify>) {
    let info = peer.peer_info();
    let is_wanted = info.is_some_and(|info| {
        let tools = info.capabilities.tools.as_ref();
        !info.protocol_version.has_initialize()
            && tools.is_some_and(|tools| tools.list_changed == Some(true))
    });
    if !is_wanted {
        return;
    }
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    // What ends the subscription alone is made up for by asking now and then.
    if let Ok(mut subscription) = peer.listen(filter).await {
        while let Ok(Some(_)) = subscription.next().await {
            changed.notify_one();
        }
    }
}

fn is_unknown_method(error: &rmcp::ErrorData) -> bool {
    error.code == rmcp::model::ErrorCode::METHOD_NOT_FOUND
}

/// How long to wait after so many failures in a row: between half and all of a doubled time.
fn wait_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = RETRY_FIRST
        .saturating_mul(1 << doublings)
        .min(RETRY_LONGEST);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let cases = [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)];
        for (failures, secs) in cases {
            let longest = Duration::from_secs(secs);
            for _ in 0..100 {
                let wait = wait_after(failures);
                assert!(
                    (longest / 2..=longest).contains(&wait),
                    "{failures} {wait:?}"
                );
            }
        }
    }
}
