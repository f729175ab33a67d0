//! The MCP client against real servers: a program over its pipes, and one over HTTP, each with
//! the handshake of 2025 and without it.
#![cfg(feature = "mcp")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper of a test that can't go on fails the test, and a peer complains to stderr"
)]

mod peer;

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xiaoo_agent::{
    McpCommand, McpEndpoint, McpServer, McpServers, McpState, McpTransport, Tool, ToolContext,
    ToolOutput, Workspace,
};

use peer::{HttpPeer, KEY, Protocol};

/// Not a test of its own: the server of the others, where the environment says so.
#[tokio::test]
async fn the_stdio_peer() {
    peer::serve_stdio().await;
}

#[tokio::test]
async fn tools_of_a_program_are_offered_and_called() {
    for protocol in Protocol::BOTH {
        let servers = start(vec![server("calc", peer::stdio(protocol))]);
        works(&servers, protocol).await;
        servers.stop().await;
    }
}

#[tokio::test]
async fn tools_over_http_are_offered_and_called() {
    for protocol in Protocol::BOTH {
        let peer = HttpPeer::start(protocol, "127.0.0.1:0").await;
        let servers = start(vec![server("calc", http(&peer))]);
        works(&servers, protocol).await;
        servers.stop().await;
        peer.stop().await;
    }
}

/// What must be true over every transport.
async fn works(servers: &McpServers, protocol: Protocol) {
    servers.settled(LONG).await;
    let connected = McpState::Connected {
        tools: 8,
        protocol: protocol.name().into(),
    };
    assert_eq!(state(servers), connected);

    // All pages, with names that model servers take.
    let offered = servers.offered();
    let names: Vec<&str> = offered.iter().map(|tool| tool.name()).collect();
    let (odd, plain): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| name.contains("start"));
    let expected = [
        "add",
        "break",
        "draw",
        "environment",
        "exit",
        "grow",
        "wait",
    ];
    assert_eq!(plain, expected.map(|name| format!("mcp__calc__{name}")));
    assert!(
        odd.len() == 1 && odd[0].starts_with("mcp__calc__start_process-"),
        "{odd:?}"
    );
    let add = tool(servers, "add");
    assert_eq!(add.description(), "Adds.");
    assert_eq!(
        add.parameters(),
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
    );
    let asked: Vec<&str> = offered
        .iter()
        .filter(|tool| tool.needs_approval(&json!({})))
        .map(|tool| tool.name())
        .collect();
    assert_eq!(asked.len(), 7);
    assert!(!asked.contains(&"mcp__calc__add"));

    assert_eq!(
        call(servers, "add", json!({"a": 2, "b": 3})).await,
        ToolOutput::ok("5")
    );
    assert_eq!(
        call(servers, "break", json!({})).await,
        ToolOutput::error("it broke")
    );
    let directory = tempfile::tempdir().unwrap();
    let mut context = ToolContext::new("c", CancellationToken::new());
    context.workspace = Some(Workspace::open(directory.path()).unwrap());
    let drawn = tool(servers, "draw").call(json!({}), &context).await;
    let expected = "[image image/png, 4 bytes, saved as the file downloads/draw.png]";
    assert_eq!(drawn, ToolOutput::ok(expected));
    assert!(directory.path().join("downloads/draw.png").exists());

    // A tool that comes later is offered when the server says so, and not before.
    assert_eq!(
        call(servers, "grow", json!({})).await,
        ToolOutput::ok("grown")
    );
    until(|| find(servers, "added_0").is_some()).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_at_the_server() {
    for protocol in Protocol::BOTH {
        let peer = HttpPeer::start(protocol, "127.0.0.1:0").await;
        for transport in [peer::stdio(protocol), http(&peer)] {
            let mut slow = server("calc", transport);
            slow.timeout = LONG;
            let servers = start(vec![slow]);
            servers.settled(LONG).await;
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name);
            let arguments = json!({"started": path("started"), "cancelled": path("cancelled")});
            let cancel = CancellationToken::new();
            let context = ToolContext::new("c", cancel.clone());
            let tool = tool(&servers, "wait");
            let called = tool.call(arguments, &context);
            let give_up = async {
                until(|| path("started").exists()).await;
                cancel.cancel();
            };
            let (output, ()) = tokio::join!(called, give_up);
            assert_eq!(output, ToolOutput::error("Error: given up"));
            until(|| path("cancelled").exists()).await;
            servers.stop().await;
        }
        peer.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_at_the_server() {
    let mut slow = server("calc", peer::stdio(Protocol::Handshake));
    slow.timeout = Duration::from_millis(300);
    let servers = start(vec![slow]);
    servers.settled(LONG).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let arguments = json!({"started": path("started"), "cancelled": path("cancelled")});
    let output = call(&servers, "wait", arguments).await;
    assert_eq!(
        output,
        ToolOutput::error("Error: the tool took longer than 300ms")
    );
    until(|| path("cancelled").exists()).await;
}

#[tokio::test]
async fn a_program_sees_what_it_was_given_and_no_more() {
    let mut command = peer::command(Protocol::Handshake);
    command.pass_env = vec!["CARGO_MANIFEST_DIR".into(), "NOT_THERE".into()];
    command
        .env
        .push(("GIVEN".into(), "value".to_owned().into()));
    let servers = start(vec![server("calc", McpTransport::Stdio(command))]);
    servers.settled(LONG).await;
    let output = call(&servers, "environment", json!({})).await.content;
    let ours = [
        "CARGO_MANIFEST_DIR",
        "GIVEN",
        "HOME",
        "LANG",
        "PATH",
        peer::ROLE,
    ];
    // The shell between us adds what every shell does.
    let shell = ["OLDPWD", "PWD", "SHLVL", "_"];
    let unknown: Vec<&str> = output
        .split(' ')
        .filter(|name| !ours.contains(name) && !shell.contains(name))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
    for name in ["CARGO_MANIFEST_DIR", "GIVEN", "PATH", peer::ROLE] {
        assert!(output.split(' ').any(|seen| seen == name), "{name}");
    }
}

#[tokio::test]
async fn a_program_ends_with_all_that_it_started() {
    let servers = start(vec![server("calc", peer::stdio(Protocol::Handshake))]);
    servers.settled(LONG).await;
    let started = find(&servers, "start_process").unwrap();
    let context = ToolContext::new("c", CancellationToken::new());
    let id = started.call(json!({}), &context).await.content;
    assert!(is_running(&id));
    servers.stop().await;
    until(|| !is_running(&id)).await;

    // One that neither hears that its input ended nor wants to end, and nobody waits for.
    let directory = tempfile::tempdir().unwrap();
    let noted = directory.path().join("id");
    let mut command = McpCommand::new("sh");
    let script = "trap '' TERM; sleep 1000 & echo $! > \"$0\"; while :; do wait; done";
    command.args = vec!["-c".into(), script.into(), noted.display().to_string()];
    let servers = start(vec![server("deaf", McpTransport::Stdio(command))]);
    until(|| std::fs::read_to_string(&noted).is_ok_and(|id| id.ends_with('\n'))).await;
    let id = std::fs::read_to_string(&noted).unwrap();
    assert!(is_running(id.trim()));
    drop(servers);
    until(|| !is_running(id.trim())).await;
}

#[tokio::test]
async fn a_program_that_falls_over_is_started_again() {
    let servers = start(vec![server("calc", peer::stdio(Protocol::Handshake))]);
    servers.settled(LONG).await;
    let exit = tool(&servers, "exit");
    let context = ToolContext::new("c", CancellationToken::new());
    let output = exit.call(json!({}), &context).await;
    assert!(output.is_error, "{output:?}");
    until(|| matches!(state(&servers), McpState::Down { failures: 1, .. })).await;
    assert_eq!(servers.tools().len(), 0);
    // Who still holds a tool is told.
    let output = exit.call(json!({}), &context).await;
    assert!(
        output.content.contains("calc can't be asked now"),
        "{output:?}"
    );
    until(|| matches!(state(&servers), McpState::Connected { .. })).await;
    assert_eq!(
        call(&servers, "add", json!({"a": 1, "b": 1})).await,
        ToolOutput::ok("2")
    );
}

#[tokio::test]
async fn a_server_that_was_away_over_http_is_found_again() {
    for protocol in Protocol::BOTH {
        let peer = HttpPeer::start(protocol, "127.0.0.1:0").await;
        let address = peer.address.to_string();
        let servers = start(vec![server("calc", http(&peer))]);
        servers.settled(LONG).await;
        peer.stop().await;
        let output = call(&servers, "add", json!({"a": 1, "b": 1})).await;
        assert!(output.is_error, "{output:?}");
        until(|| matches!(state(&servers), McpState::Down { .. })).await;
        let peer = HttpPeer::start(protocol, &address).await;
        until(|| matches!(state(&servers), McpState::Connected { .. })).await;
        assert_eq!(
            call(&servers, "add", json!({"a": 1, "b": 1})).await,
            ToolOutput::ok("2")
        );
        servers.stop().await;
        peer.stop().await;
    }
}

#[tokio::test]
async fn servers_that_are_down_are_no_matter_to_the_others() {
    let missing = McpTransport::Stdio(McpCommand::new("/nowhere/at-all"));
    let mut silent = McpCommand::new("sleep");
    silent.args = vec!["1000".into()];
    let refused = McpEndpoint::new("http://127.0.0.1:9/mcp?key=planted-secret".to_owned());
    let servers = start(vec![
        server("missing", missing),
        server("silent", McpTransport::Stdio(silent)),
        server("refused", McpTransport::Http(refused)),
        server("calc", peer::stdio(Protocol::Handshake)),
    ]);
    until(|| {
        let states: Vec<McpState> = servers.states().into_iter().map(|s| s.state).collect();
        matches!(
            states.as_slice(),
            [
                McpState::Down { .. },
                McpState::Connecting,
                McpState::Down { .. },
                McpState::Connected { .. }
            ]
        )
    })
    .await;
    assert_eq!(
        call(&servers, "add", json!({"a": 1, "b": 1})).await,
        ToolOutput::ok("2")
    );
    let shown = format!("{servers:?}");
    assert!(shown.contains("can't be started"), "{shown}");
    assert!(!shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn a_server_that_wants_a_key_gets_it_and_shows_it_to_nobody() {
    let peer = HttpPeer::start(Protocol::Handshake, "127.0.0.1:0").await;
    let mut without = McpEndpoint::new(format!("http://{}/mcp", peer.address));
    without.headers = vec![("x-key".into(), "wrong".to_owned().into())];
    let servers = start(vec![server("calc", McpTransport::Http(without))]);
    until(|| matches!(state(&servers), McpState::Down { .. })).await;
    let shown = format!("{servers:?}");
    assert!(shown.contains("401") && !shown.contains("wrong"), "{shown}");
}

#[tokio::test]
async fn lists_say_what_is_offered() {
    let mut some = server("calc", peer::stdio(Protocol::Handshake));
    some.allow = Some(vec!["add".into(), "draw".into(), "start/process".into()]);
    some.deny = vec!["draw".into()];
    some.needs_approval = false;
    let servers = start(vec![some]);
    servers.settled(LONG).await;
    let offered = servers.offered();
    assert_eq!(offered.len(), 2);
    assert!(
        offered
            .iter()
            .all(|tool| !tool.needs_approval(&json!({})) && tool.server() == "calc")
    );
}

/// Longer than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(60);

fn server(name: &str, transport: McpTransport) -> McpServer {
    McpServer::new(name, transport)
}

fn http(peer: &HttpPeer) -> McpTransport {
    let mut endpoint = McpEndpoint::new(format!("http://{}/mcp", peer.address));
    endpoint.headers = vec![("x-key".into(), KEY.to_owned().into())];
    McpTransport::Http(endpoint)
}

fn start(servers: Vec<McpServer>) -> McpServers {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    McpServers::start(servers, &http).unwrap()
}

/// The state of the only server.
fn state(servers: &McpServers) -> McpState {
    servers.states().remove(0).state
}

fn find(servers: &McpServers, name: &str) -> Option<Arc<dyn Tool>> {
    let tools = servers.tools();
    let name = format!("mcp__calc__{name}");
    tools
        .into_iter()
        .find(|tool| tool.name().starts_with(&name))
}

fn tool(servers: &McpServers, name: &str) -> Arc<dyn Tool> {
    find(servers, name).unwrap_or_else(|| panic!("no tool {name}: {servers:?}"))
}

async fn call(servers: &McpServers, name: &str, arguments: Value) -> ToolOutput {
    let context = ToolContext::new("c", CancellationToken::new());
    tool(servers, name).call(arguments, &context).await
}

/// Waits for what must come true.
async fn until(mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap();
}

/// Whether there is a process of that number that is not just waiting to be reaped.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(id).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
