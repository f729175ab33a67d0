//! `[tools]`.

use std::time::Duration;

use super::super::section::{Section, Spot};
use super::super::{McpConfig, McpTransport, ShellConfig, ToolsConfig, schema};
use super::{Checker, KEY_BYTES_MAX, MEGABYTE};

/// Tools that an operator has to switch on.
pub(crate) const OPT_IN: [&str; 3] = ["shell", "web_fetch", "ask_user"];

impl Checker<'_> {
    pub(super) fn tools(&mut self, section: &Section<'_>) -> ToolsConfig {
        let enable = section.texts("enable");
        for written in enable.iter().filter(|name| !OPT_IN.contains(&name.value)) {
            let meant = schema::nearest(written.value, OPT_IN)
                .map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
            let message = format!(
                "no tool of the name {:?} has to be switched on{meant} There are: {}",
                written.value,
                OPT_IN.join(", ")
            );
            self.error(written, message);
        }
        let ask_first = if section.has("ask_first") {
            texts(section.texts("ask_first"))
        } else {
            vec!["shell".to_owned()]
        };
        let shell = section.section("shell");
        let servers = section.named_sections("mcp");
        let mcp = servers
            .iter()
            .filter_map(|(name, server)| self.mcp(name, server))
            .collect();
        if shell.flag("unsandboxed") {
            let message = "whoever talks to the bot can do what the daemon's user can, where the \
                           kernel has no sandbox";
            self.warn(&shell.spot_at("unsandboxed"), message);
        }
        ToolsConfig {
            enable: texts(enable),
            ask_first,
            approval_timeout: Duration::from_secs(section.count("approval_timeout_secs")),
            shell: ShellConfig {
                timeout: Duration::from_secs(shell.count("timeout_secs")),
                network: shell.flag("network"),
                memory_bytes_max: shell.count("memory_mb").saturating_mul(MEGABYTE),
                processes_max: shell.count("processes_max"),
                unsandboxed: shell.flag("unsandboxed"),
            },
            private_hosts: texts(section.section("web_fetch").texts("allow_private_hosts")),
            mcp,
        }
    }

    fn mcp(&mut self, name: &Spot<&str>, section: &Section<'_>) -> Option<McpConfig> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=MCP_NAME_BYTES_MAX).contains(&name.value.len());
        if !fits || !name.value.bytes().all(is_plain) {
            let message = format!(
                "letters, digits, `_` and `-`, at most {MCP_NAME_BYTES_MAX}: it becomes part of tool names"
            );
            self.error(name, message);
        }
        let bearer_token = self.secret(section, "bearer_token_env", KEY_BYTES_MAX);
        let transport = match (section.text("command"), section.text("url")) {
            (Some(command), None) => {
                let command = self.not_blank(command)?;
                let env = section.texts("env");
                let env = env
                    .iter()
                    .filter_map(|name| {
                        let value = self.variable(name, KEY_BYTES_MAX)?;
                        Some((name.value.to_owned(), value))
                    })
                    .collect();
                McpTransport::Program {
                    command,
                    args: texts(section.texts("args")),
                    env,
                }
            }
            (None, Some(url)) => McpTransport::Http {
                url: self.url(&url)?,
                bearer_token,
            },
            (None, None) | (Some(_), Some(_)) => {
                let message = "either `command` or `url` says how the server is reached";
                self.error(&section.spot(), message);
                return None;
            }
        };
        Some(McpConfig {
            name: name.value.to_owned(),
            transport,
            tools: section.has("tools").then(|| texts(section.texts("tools"))),
            ask_first: section.flag("ask_first"),
            timeout: Duration::from_secs(section.count("timeout_secs")),
        })
    }
}

/// Servers take 64 bytes for a tool's whole name.
const MCP_NAME_BYTES_MAX: usize = 24;

fn texts(written: Vec<Spot<&str>>) -> Vec<String> {
    written.iter().map(|text| text.value.to_owned()).collect()
}
