//! Talks to one MCP server and checks that what `tests/mcp/server.py` offers works.
//!
//! usage: `mcp_client stdio PROGRAM [ARGUMENT]…` or `mcp_client http URL`

#![expect(
    clippy::print_stdout,
    reason = "a program for a terminal and for tests/mcp/run.sh"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xiaoo_agent::{
    McpCommand, McpEndpoint, McpServer, McpServers, McpState, McpTransport, Tool, ToolContext,
    ToolOutput, Workspace,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // An error means that somebody installed one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let server = McpServer::new("python", transport()?);
    let servers = McpServers::start(vec![server], &http)?;
    // A server over HTTP may still be starting: then it is tried again.
    until("the server is there", || is_there(&servers)).await?;
    println!("  {:?}", servers.states());

    let run = Run {
        servers,
        directory: tempfile::tempdir()?,
    };
    run.calls().await?;
    run.gives_up().await?;
    run.sees_new_tools().await?;
    run.servers.stop().await;
    println!("  all as it should be");
    Ok(())
}

fn transport() -> Result<McpTransport, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (kind, target) = (arguments.next(), arguments.next());
    let target = target.ok_or("usage: mcp_client stdio PROGRAM [ARGUMENT]… | http URL")?;
    Ok(match kind.as_deref() {
        Some("stdio") => {
            let mut command = McpCommand::new(target);
            command.args = arguments.collect();
            McpTransport::Stdio(command)
        }
        Some(_) | None => McpTransport::Http(McpEndpoint::new(target)),
    })
}

struct Run {
    servers: McpServers,
    directory: tempfile::TempDir,
}

impl Run {
    async fn calls(&self) -> Result<(), Box<dyn Error>> {
        let add = self.tool("add")?;
        expect("add's description", add.description(), "Adds two numbers.")?;
        let asked = self.servers.tools();
        let asked = asked
            .iter()
            .filter(|tool| tool.needs_approval(&json!({})))
            .count();
        expect("tools that need approval", asked, 5)?;
        let sum = self.call("add", json!({"a": 19, "b": 23})).await?;
        expect("add", sum, ToolOutput::ok("42"))?;

        let broken = self.call("boom", json!({})).await?;
        let says_why = broken.is_error && broken.content.contains("boom");
        expect("boom says that it failed", says_why, true)?;
        let wrong = self.call("add", json!({"a": "x"})).await?;
        expect("wrong arguments are an error", wrong.is_error, true)?;

        let picture = self.call("picture", json!({})).await?;
        let says = "[image image/png, 15 bytes, saved as the file downloads/picture.png]";
        expect("picture", picture, ToolOutput::ok(says))?;
        let saved = std::fs::read(self.directory.path().join("downloads/picture.png"))?;
        expect(
            "the picture's bytes",
            saved.as_slice(),
            b"\x89PNG not really",
        )?;

        let person = self.call("person", json!({"name": "小明"})).await?;
        let person: Value = serde_json::from_str(&person.content)?;
        expect("person", person, json!({"name": "小明", "job": "tester"}))
    }

    async fn gives_up(&self) -> Result<(), Box<dyn Error>> {
        let path = |name: &str| self.directory.path().join(name);
        let cancel = CancellationToken::new();
        let context = ToolContext::new("c", cancel.clone());
        let slow = self.tool("slow")?;
        let arguments = json!({"started": path("started"), "cancelled": path("cancelled")});
        let give_up = async {
            let started = until("slow has started", || path("started").exists()).await;
            cancel.cancel();
            started
        };
        let (output, started) = tokio::join!(slow.call(arguments, &context), give_up);
        started?;
        expect(
            "a call that is given up",
            output,
            ToolOutput::error("Error: given up"),
        )?;
        until("the server has heard of it", || path("cancelled").exists()).await
    }

    async fn sees_new_tools(&self) -> Result<(), Box<dyn Error>> {
        expect("later before its time", self.tool("later").is_err(), true)?;
        let grown = self.call("grow", json!({})).await?;
        expect("grow", grown, ToolOutput::ok("grown"))?;
        until("the new tool is seen", || self.tool("later").is_ok()).await?;
        let later = self.call("later", json!({})).await?;
        expect("later", later, ToolOutput::ok("here"))
    }

    fn tool(&self, name: &str) -> Result<Arc<dyn Tool>, Box<dyn Error>> {
        let tools = self.servers.tools();
        let name = format!("mcp__python__{name}");
        let found = tools.into_iter().find(|tool| tool.name() == name);
        found.ok_or_else(|| format!("there is no tool {name}").into())
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<ToolOutput, Box<dyn Error>> {
        let mut context = ToolContext::new("c", CancellationToken::new());
        context.workspace = Some(Workspace::open(self.directory.path())?);
        Ok(self.tool(name)?.call(arguments, &context).await)
    }
}

fn is_there(servers: &McpServers) -> bool {
    let states = servers.states();
    let mut states = states.iter();
    states.any(|server| matches!(server.state, McpState::Connected { .. }))
}

/// Waits for what must come true.
async fn until(what: &str, mut is_true: impl FnMut() -> bool) -> Result<(), Box<dyn Error>> {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.map_err(|_| format!("this never came true: {what}").into())
}

fn expect<T, U>(what: &str, is: T, should: U) -> Result<(), Box<dyn Error>>
where
    T: PartialEq<U> + core::fmt::Debug,
    U: core::fmt::Debug,
{
    if is == should {
        Ok(())
    } else {
        Err(format!("{what}: {is:?} instead of {should:?}").into())
    }
}
