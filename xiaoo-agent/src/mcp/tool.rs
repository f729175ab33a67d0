//! One tool of one server.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{CallToolRequestParams, CallToolResponse};
use rmcp::service::ServiceError;
use serde_json::Value;
use tokio::time::timeout;

use super::link::{Link, Server};
use super::offer::Offer;
use super::{describe, result};
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};

/// A tool of an MCP server.
///
/// It is one of the server as it was listed: where the server is away or has changed since, a call
/// says so to the model.
#[derive(Debug)]
pub struct McpTool {
    server: Arc<Server>,
    offer: Offer,
}

impl McpTool {
    pub(super) fn new(server: Arc<Server>, offer: Offer) -> Self {
        Self { server, offer }
    }

    /// The name of its server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server.name
    }

    async fn run(&self, arguments: Value, context: &ToolContext) -> ToolOutput {
        let link = self.server.link();
        let peer = match link {
            Link::Up(up) => up.peer,
            Link::Connecting => return self.away("it is still being connected"),
            Link::Down { why, .. } => return self.away(&why),
        };
        let Value::Object(arguments) = arguments else {
            return ToolOutput::error("Error: the arguments are not an object");
        };
        let limit = self.server.settings.timeout;
        let name = self.offer.remote_name.clone();
        let asked = CallToolRequestParams::new(name).with_arguments(arguments);
        // Dropped before its answer is there, it tells the server that nobody waits any more.
        let answered = tokio::select! {
            answered = timeout(limit, peer.call_tool_once(asked)) => answered,
            () = context.cancel.cancelled() => return ToolOutput::error("Error: given up"),
        };
        let Ok(answered) = answered else {
            return ToolOutput::error(format!("Error: the tool took longer than {limit:?}"));
        };
        match answered {
            Ok(CallToolResponse::Complete(result)) => {
                let workspace = context.workspace.as_ref();
                result::output(&self.offer.remote_name, result, workspace).await
            }
            Ok(CallToolResponse::InputRequired(_)) => ToolOutput::error(
                "Error: the tool asks for further input in a way that is not possible here",
            ),
            Ok(_) => ToolOutput::error("Error: the tool answers later, which is not possible here"),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &ServiceError) -> ToolOutput {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "not our enum, and non-exhaustive: all others are of the connection"
        )]
        match error {
            ServiceError::McpError(error) => {
                ToolOutput::error(format!("Error: the server says: {}", error.message))
            }
            other => {
                self.server.suspect();
                self.away(&describe(other, &self.server.settings))
            }
        }
    }

    fn away(&self, why: &str) -> ToolOutput {
        ToolOutput::error(format!(
            "Error: the MCP server {} can't be asked now: {why}",
            self.server.name
        ))
    }
}

impl Tool for McpTool {
    fn name(&self) -> &str {
        &self.offer.name
    }

    fn description(&self) -> &str {
        &self.offer.description
    }

    fn parameters(&self) -> Value {
        Value::clone(&self.offer.schema)
    }

    fn intent(&self, arguments: &Value, _: &ToolContext) -> Intent {
        Intent {
            what: format!("{} {arguments}", self.offer.remote_name),
            place: format!("MCP: {}", self.server.name),
        }
    }

    fn needs_approval(&self, _: &Value) -> bool {
        self.server.settings.needs_approval && !self.offer.only_reads
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        Box::pin(self.run(arguments, context))
    }
}
