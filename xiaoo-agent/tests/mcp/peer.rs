//! The other side: an MCP server by the SDK's own server half.
//!
//! Over HTTP it runs in the test's process. Over stdio the test program starts itself again and
//! speaks through descriptor 3, because the test harness writes to its standard output.

use std::net::SocketAddr;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use xiaoo_agent::{McpCommand, McpTransport};

/// Set where this program is to be the server: which protocol it speaks.
pub(crate) const ROLE: &str = "XIAOO_TEST_MCP_PEER";

/// The server as a program of its own.
pub(crate) fn command(protocol: Protocol) -> McpCommand {
    let test = std::env::current_exe().unwrap().display().to_string();
    let mut command = McpCommand::new("sh");
    // Nothing but the server writes to what the client reads.
    let script = "exec 3>&1 1>/dev/null; exec \"$0\" --exact the_stdio_peer --nocapture";
    command.args = vec!["-c".into(), script.into(), test];
    command.env = vec![(ROLE.into(), protocol.name().to_owned().into())];
    command
}

pub(crate) fn stdio(protocol: Protocol) -> McpTransport {
    McpTransport::Stdio(command(protocol))
}

/// Serves over stdio until the client hangs up, if this program was started to do so.
pub(crate) async fn serve_stdio() {
    let Some(protocol) = std::env::var(ROLE)
        .ok()
        .and_then(|name| Protocol::named(&name))
    else {
        return;
    };
    let input = pipe::OpenOptions::new().open_receiver("/dev/fd/0").unwrap();
    let output = pipe::OpenOptions::new().open_sender("/dev/fd/3").unwrap();
    eprintln!("the peer speaks {}", protocol.name());
    let service = Peer::new(protocol).serve((input, output)).await.unwrap();
    let _ = service.waiting().await;
    std::process::exit(0);
}

/// The server over HTTP.
pub(crate) struct HttpPeer {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl HttpPeer {
    pub(crate) async fn start(protocol: Protocol, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut config = StreamableHttpServerConfig::default();
        config.cancellation_token = stop.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let peer = Peer::new(protocol);
        let service = StreamableHttpService::new(move || Ok(peer.clone()), sessions, config);
        let guard = axum::middleware::from_fn(only_with_key);
        let routes = axum::Router::new()
            .nest_service("/mcp", service)
            .layer(guard);
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, routes) => served.unwrap(),
                () = stopping.cancelled() => {}
            }
        });
        Self {
            address,
            stop,
            task,
        }
    }

    /// Ends it, with all its connections and sessions.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) const KEY: &str = "planted-secret";

async fn only_with_key(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let key = request.headers().get("x-key").map(|key| key.as_bytes());
    if key == Some(KEY.as_bytes()) {
        next.run(request).await
    } else {
        http::StatusCode::UNAUTHORIZED.into_response()
    }
}

/// What the server speaks: with a handshake, as servers do until 2025, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Handshake,
    Discovery,
}

impl Protocol {
    pub(crate) const BOTH: [Self; 2] = [Self::Handshake, Self::Discovery];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handshake => "2025-11-25",
            Self::Discovery => "2026-07-28",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::BOTH
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }
}

#[derive(Clone)]
struct Peer {
    protocol: Protocol,
    /// How many tools were added.
    added: watch::Sender<usize>,
}

impl Peer {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            added: watch::Sender::new(0),
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let schema = |properties: Value| {
            let schema = json!({"type": "object", "properties": properties});
            schema.as_object().unwrap().clone()
        };
        let tool =
            |name: &str| Tool::new(name.to_owned(), format!("Does {name}."), schema(json!({})));
        let reads = ToolAnnotations::new().read_only(true);
        let numbers = json!({"a": {"type": "integer"}, "b": {"type": "integer"}});
        let mut tools = vec![
            Tool::new("add", "Adds.", schema(numbers)).with_annotations(reads),
            tool("break"),
            tool("draw"),
            tool("environment"),
            tool("exit"),
            tool("grow"),
            tool("start/process"),
            tool("wait"),
        ];
        tools.extend((0..*self.added.borrow()).map(|n| tool(&format!("added_{n}"))));
        tools
    }
}

impl ServerHandler for Peer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("peer", "1"))
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        match self.protocol {
            Protocol::Handshake => vec![ProtocolVersion::V_2025_11_25].into(),
            Protocol::Discovery => vec![ProtocolVersion::V_2026_07_28].into(),
        }
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        /// Few, so that there are pages.
        const PAGE: usize = 3;
        let cursor = request.and_then(|request| request.cursor);
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let tools = self.tools();
        let page: Vec<Tool> = tools.iter().skip(from).take(PAGE).cloned().collect();
        let mut result = ListToolsResult::with_all_items(page);
        result.next_cursor = (from + PAGE < tools.len()).then(|| (from + PAGE).to_string());
        Ok(result)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut added = self.added.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = added.changed() => {
                    changed.unwrap();
                    context.sink().notify_tool_list_changed().await.unwrap();
                }
            }
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let argument = |name: &str| arguments.get(name).and_then(|value| value.as_str());
        let text = |text: String| CallToolResult::success(vec![ContentBlock::text(text)]);
        let result = match &*request.name {
            "add" => {
                let number = |name: &str| arguments.get(name).and_then(|n| n.as_i64()).unwrap();
                text((number("a") + number("b")).to_string())
            }
            "break" => CallToolResult::error(vec![ContentBlock::text("it broke")]),
            "draw" => CallToolResult::success(vec![ContentBlock::image("iVBORw==", "image/png")]),
            "environment" => {
                let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
                names.sort();
                text(names.join(" "))
            }
            "exit" => std::process::exit(1),
            "grow" => {
                self.added.send_modify(|added| *added += 1);
                if self.protocol == Protocol::Handshake {
                    context.peer.notify_tool_list_changed().await.unwrap();
                }
                text("grown".into())
            }
            "start/process" => {
                let child = tokio::process::Command::new("sleep")
                    .arg("1000")
                    .spawn()
                    .unwrap();
                text(child.id().unwrap().to_string())
            }
            "wait" => {
                std::fs::write(argument("started").unwrap(), "").unwrap();
                context.ct.cancelled().await;
                std::fs::write(argument("cancelled").unwrap(), "").unwrap();
                text("late".into())
            }
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        };
        Ok(result.into())
    }
}
