//! Tools of MCP servers, by the official SDK.
//!
//! [`McpServers`] keeps a connection to each server in the background and offers what they list
//! as [`Tool`]s. A server that is down, slow, or changes its mind costs nobody but
//! the calls of its own tools.
//!
//! What a server may cost has bounds: messages, lists, descriptions, schemas and results. Its
//! program sees an environment of three variables and what the operator gave it, and ends with
//! everything that it started when the connection does.

mod child;
mod link;
mod offer;
mod result;
mod settings;
mod tool;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use settings::{InvalidMcpServer, McpCommand, McpEndpoint, McpServer, McpTransport};
pub use tool::McpTool;

use crate::tool::Tool;
use crate::tool::head::split_head;
use link::{Link, Server};

/// Largest message of a server: an image in base64 fits, and some fit into memory at once.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// All MCP servers of one daemon. They are let go when it is dropped.
pub struct McpServers {
    servers: Vec<Arc<Server>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl McpServers {
    /// Begins to connect, in the background; `http` is for the servers that are reached so, and
    /// must follow no redirects.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the settings can't be used. That a server is down is none.
    pub fn start(
        servers: Vec<McpServer>,
        http: &reqwest::Client,
    ) -> Result<Self, InvalidMcpServer> {
        settings::check(&servers)?;
        let tasks = TaskTracker::new();
        let cancel = CancellationToken::new();
        let start = |settings| {
            let server = Arc::new(Server::new(settings));
            tasks.spawn(Arc::clone(&server).run(http.clone(), cancel.child_token()));
            server
        };
        let servers = servers.into_iter().map(start).collect();
        tasks.close();
        Ok(Self {
            servers,
            tasks,
            cancel,
        })
    }

    /// The tools of the servers that are there now.
    #[must_use]
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let tools = self.offered();
        tools
            .into_iter()
            .map(|tool| tool as Arc<dyn Tool>)
            .collect()
    }

    /// The same, with what only tools of MCP servers have.
    #[must_use]
    pub fn offered(&self) -> Vec<Arc<McpTool>> {
        let mut tools = Vec::new();
        for server in &self.servers {
            if let Link::Up(up) = server.link() {
                let offers = up.tools.iter().cloned();
                let made = offers.map(|offer| Arc::new(McpTool::new(Arc::clone(server), offer)));
                tools.extend(made);
            }
        }
        tools
    }

    /// How it stands with each server.
    #[must_use]
    pub fn states(&self) -> Vec<McpStatus> {
        self.servers
            .iter()
            .map(|server| McpStatus {
                name: server.name.to_string(),
                state: match server.link() {
                    Link::Connecting => McpState::Connecting,
                    Link::Up(up) => McpState::Connected {
                        tools: up.tools.len(),
                        protocol: up.protocol.to_string(),
                    },
                    Link::Down { why, failures } => McpState::Down { why, failures },
                },
            })
            .collect()
    }

    /// Waits until each server was reached or failed once, but not longer than `at_most`: so that
    /// the first turns after a start have their tools.
    pub async fn settled(&self, at_most: Duration) {
        let settle = async {
            for server in &self.servers {
                let mut link = server.watch();
                // The sender is in `self`.
                let _ = link
                    .wait_for(|link| !matches!(link, Link::Connecting))
                    .await;
            }
        };
        let _ = tokio::time::timeout(at_most, settle).await;
    }

    /// Lets all servers go, and waits until their programs have ended.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for McpServers {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl fmt::Debug for McpServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

/// A server and how it stands with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpStatus {
    /// The operator's name for it.
    pub name: String,
    /// Its state.
    pub state: McpState,
}

/// How it stands with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpState {
    /// It has not been reached yet.
    Connecting,
    /// It is there.
    Connected {
        /// How many of its tools are offered.
        tools: usize,
        /// The version of the protocol that is spoken.
        protocol: String,
    },
    /// It is not there; it is tried again by itself.
    Down {
        /// What went wrong last.
        why: String,
        /// How often in a row it did.
        failures: u32,
    },
}

/// What went wrong, without the address: an operator may have put a secret into it.
fn describe(error: &(dyn std::error::Error + 'static), settings: &McpServer) -> String {
    /// Longest complaint that is kept.
    const COMPLAINT_BYTES_MAX: usize = 500;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        let what = below.to_string();
        if !text.contains(&what) {
            text = format!("{text}: {what}");
        }
        cause = below.source();
    }
    if let McpTransport::Http(endpoint) = &settings.transport {
        let written = secrecy::ExposeSecret::expose_secret(&endpoint.url);
        let normal = endpoint.parsed_url().map(String::from).unwrap_or_default();
        for secret in [normal.as_str(), written] {
            if !secret.is_empty() {
                text = text.replace(secret, "its url");
            }
        }
    }
    split_head(&text, COMPLAINT_BYTES_MAX).0.to_owned()
}
