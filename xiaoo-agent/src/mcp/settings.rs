//! Which servers there are, and what of them is used.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Servers of one daemon: each has a task, and tools that fill the prompt.
const SERVERS_MAX: usize = 32;
/// Longest name of a server, so that a tool's name has room beside it.
const NAME_BYTES_MAX: usize = 24;

/// One MCP server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct McpServer {
    /// What the operator calls it: letters, digits, `-` and single `_`, at most 24 in all. It is
    /// the middle of its tools' names.
    pub name: String,
    /// How it is reached.
    pub transport: McpTransport,
    /// The tools that are offered, by the server's names; all when `None`.
    pub allow: Option<Vec<String>>,
    /// Tools that are not offered, whatever `allow` says.
    pub deny: Vec<String>,
    /// How long one call may take. Default 60 s.
    pub timeout: Duration,
    /// Whether somebody has to agree to calls of tools that are not marked as only reading.
    /// Default true. The mark is the server's word.
    pub needs_approval: bool,
}

impl McpServer {
    /// A server whose tools are all offered, with approval.
    #[must_use]
    pub fn new(name: impl Into<String>, transport: McpTransport) -> Self {
        Self {
            name: name.into(),
            transport,
            allow: None,
            deny: Vec::new(),
            timeout: Duration::from_secs(60),
            needs_approval: true,
        }
    }

    /// Whether the tool of that name is to be offered.
    pub(super) fn offers(&self, tool: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|name| name == tool);
        self.allow.as_deref().is_none_or(is_in) && !is_in(&self.deny)
    }
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum McpTransport {
    /// It is a program that is started here and spoken to over its standard input and output.
    Stdio(McpCommand),
    /// It is spoken to over streamable HTTP.
    Http(McpEndpoint),
}

/// A program, and what it gets to see.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct McpCommand {
    /// A path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables of our environment that it gets beside `PATH`, `HOME` and `LANG`.
    pub pass_env: Vec<String>,
    /// Variables that are set for it.
    pub env: Vec<(String, SecretString)>,
    /// Where it runs; our own directory when `None`.
    pub directory: Option<PathBuf>,
}

impl McpCommand {
    /// A program without arguments.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }
}

/// An address, and what is sent with each request.
#[derive(Clone)]
#[non_exhaustive]
pub struct McpEndpoint {
    /// The MCP endpoint, with http or https. It may hold a key: only its host is ever shown.
    pub url: SecretString,
    /// Further headers.
    pub headers: Vec<(String, SecretString)>,
}

impl McpEndpoint {
    /// An endpoint that needs no headers.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn parsed_url(&self) -> Option<Url> {
        let url = Url::parse(self.url.expose_secret()).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    }

    pub(super) fn parsed_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, &str> {
        let parse = |(name, value): &(String, SecretString)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
            value.set_sensitive(true);
            (!RESERVED.contains(&name.as_str())).then_some((name, value))
        };
        let headers = self.headers.iter();
        headers
            .map(|header| parse(header).ok_or(header.0.as_str()))
            .collect()
    }
}

impl fmt::Debug for McpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.parsed_url();
        f.debug_struct("McpEndpoint")
            .field("host", &url.as_ref().and_then(Url::host_str))
            .field("headers", &self.headers.len())
            .finish()
    }
}

/// Checks all servers.
pub(super) fn check(servers: &[McpServer]) -> Result<(), InvalidMcpServer> {
    if servers.len() > SERVERS_MAX {
        return Err(InvalidMcpServer::TooMany);
    }
    let mut names = BTreeSet::new();
    for server in servers {
        let name = server.name.clone();
        if !is_server_name(&name) {
            return Err(InvalidMcpServer::Name(name));
        }
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(InvalidMcpServer::Twice(name));
        }
        match &server.transport {
            McpTransport::Stdio(command) if command.program.as_os_str().is_empty() => {
                return Err(InvalidMcpServer::Program(name));
            }
            McpTransport::Stdio(_) => {}
            McpTransport::Http(endpoint) if endpoint.parsed_url().is_none() => {
                return Err(InvalidMcpServer::Url(name));
            }
            McpTransport::Http(endpoint) => {
                endpoint
                    .parsed_headers()
                    .map_err(|header| InvalidMcpServer::Header(name, header.to_owned()))?;
            }
        }
    }
    Ok(())
}

/// Settings that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMcpServer {
    /// A header that is none, or that the protocol sets.
    #[error("MCP server {0}: the header {1:?} can't be sent")]
    Header(String, String),
    /// The name would make names of tools that can't be told apart.
    #[error(
        "MCP server {0:?}: a name is 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 - and single _ inside"
    )]
    Name(String),
    /// Nothing to start.
    #[error("MCP server {0}: it has no program")]
    Program(String),
    /// More than a daemon should have.
    #[error("there are more than {SERVERS_MAX} MCP servers")]
    TooMany,
    /// Two have one name.
    #[error("two MCP servers are called {0}")]
    Twice(String),
    /// Not an address.
    #[error("MCP server {0}: its url is not an http or https address")]
    Url(String),
}

/// Headers that the protocol sets by itself.
const RESERVED: [&str; 5] = [
    "accept",
    "content-type",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// A name that can be told from a tool's behind it, in `mcp__server__tool`.
fn is_server_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !name.contains("__")
        && !name.starts_with('_')
        && !name.ends_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_told_from_their_tools() {
        let long = "a".repeat(NAME_BYTES_MAX);
        for name in ["a", "git-hub_2", long.as_str()] {
            assert_eq!(check(&[stdio(name)]), Ok(()), "{name}");
        }
        let longer = "a".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "a__b", "_a", "a_", "a b", "ä", longer.as_str()] {
            let invalid = InvalidMcpServer::Name(name.into());
            assert_eq!(check(&[stdio(name)]), Err(invalid), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let http = |url: &str, header: &str| {
            let mut endpoint = McpEndpoint::new(url);
            endpoint.headers = vec![(header.into(), "v".into())];
            McpServer::new("a", McpTransport::Http(endpoint))
        };
        let cases = [
            (
                vec![stdio("a"), stdio("A")],
                InvalidMcpServer::Twice("A".into()),
            ),
            (
                vec![http("nonsense", "x")],
                InvalidMcpServer::Url("a".into()),
            ),
            (
                vec![http("file:///x", "x")],
                InvalidMcpServer::Url("a".into()),
            ),
            (
                vec![http("http://a/", "Accept")],
                InvalidMcpServer::Header("a".into(), "Accept".into()),
            ),
            (
                vec![http("http://a/", "a b")],
                InvalidMcpServer::Header("a".into(), "a b".into()),
            ),
            (
                vec![McpServer::new(
                    "a",
                    McpTransport::Stdio(McpCommand::default()),
                )],
                InvalidMcpServer::Program("a".into()),
            ),
        ];
        for (servers, invalid) in cases {
            assert_eq!(check(&servers), Err(invalid));
        }
        let many = |count: usize| {
            (0..count)
                .map(|n| stdio(&n.to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(check(&many(SERVERS_MAX)), Ok(()));
        assert_eq!(
            check(&many(SERVERS_MAX + 1)),
            Err(InvalidMcpServer::TooMany)
        );
        assert_eq!(check(&[http("https://a/mcp", "Authorization")]), Ok(()));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut endpoint = McpEndpoint::new("https://a.test/mcp?key=planted");
        endpoint.headers = vec![("authorization".into(), "planted".into())];
        let mut command = McpCommand::new("x");
        command.env = vec![("KEY".into(), "planted".into())];
        let shown = format!("{endpoint:?} {command:?}");
        assert!(
            shown.contains("a.test") && !shown.contains("planted"),
            "{shown}"
        );
    }

    #[test]
    fn lists_say_what_is_offered() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut server = stdio("a");
        assert!(server.offers("x"));
        server.deny = list(&["x"]);
        assert!(!server.offers("x") && server.offers("y"));
        server.allow = Some(list(&["x", "z"]));
        assert!(!server.offers("x") && !server.offers("y") && server.offers("z"));
    }

    fn stdio(name: &str) -> McpServer {
        McpServer::new(name, McpTransport::Stdio(McpCommand::new("x")))
    }
}
