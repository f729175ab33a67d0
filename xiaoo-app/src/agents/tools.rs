//! What an agent's model may call, as the operator has it.

use anyhow::Context as _;
use xiaoo_agent::document::{DocumentLimits, DocumentReader};
use xiaoo_agent::sandbox::Sandbox;
use xiaoo_agent::{
    AskUser, ChatMembers, CurrentTime, HostRule, McpCommand, McpEndpoint, McpServer, McpServers,
    McpTransport, Shell, ShellSettings, ToolSet, WebFetch, WebFetchSettings, file_tools,
};

use crate::clients::Clients;
use crate::config::{self, AgentConfig, McpConfig, ToolsConfig};
use crate::render::time::UTC_OFFSET_MINUTES;

/// The tools of every turn of an agent: those that it names, or the usual ones and those that the
/// operator has switched on.
pub(super) fn of(
    tools: &ToolsConfig,
    agent: &AgentConfig,
    clients: &Clients,
) -> anyhow::Result<ToolSet> {
    let is_wanted = |name: &str, is_usual: bool| match &agent.tools {
        Some(named) => named.iter().any(|named| named == name),
        None => is_usual || tools.enable.iter().any(|enabled| enabled == name),
    };
    let sandbox = Sandbox::of_this_program();
    let mut set = ToolSet::new();
    let reader = DocumentReader::Apart(sandbox.clone(), DocumentLimits::default());
    for tool in file_tools(reader) {
        if is_wanted(tool.name(), true) {
            set = set.with_shared(tool)?;
        }
    }
    if is_wanted("current_time", true) {
        set = set.with(CurrentTime::new(UTC_OFFSET_MINUTES))?;
    }
    if is_wanted("chat_members", true) {
        set = set.with(ChatMembers)?;
    }
    if is_wanted("ask_user", false) {
        set = set.with(AskUser::new(tools.approval_timeout))?;
    }
    if is_wanted("shell", false) {
        set = set.with(Shell::new(sandbox, shell(&tools.shell)))?;
    }
    if is_wanted("web_fetch", false) {
        let fetch = WebFetch::new(clients.builder()?, web_fetch(tools)?);
        set = set.with(fetch.context("[tools.web_fetch] cannot be used")?)?;
    }
    Ok(set)
}

/// The servers whose tools are offered; they are connected to in the background.
pub(super) fn servers(
    tools: &ToolsConfig,
    clients: &mut Clients,
) -> anyhow::Result<Option<McpServers>> {
    if tools.mcp.is_empty() {
        return Ok(None);
    }
    let client = clients.builder()?.build().context("no HTTP client")?;
    let servers = tools.mcp.iter().map(server).collect();
    let servers = McpServers::start(servers, &client).context("[tools.mcp] cannot be used")?;
    Ok(Some(servers))
}

fn server(config: &McpConfig) -> McpServer {
    let transport = match &config.transport {
        config::McpTransport::Program { command, args, env } => {
            let mut program = McpCommand::new(command);
            program.args.clone_from(args);
            program.env.clone_from(env);
            McpTransport::Stdio(program)
        }
        config::McpTransport::Http { url, bearer_token } => {
            let mut endpoint = McpEndpoint::new(url.clone());
            if let Some(token) = bearer_token {
                use secrecy::ExposeSecret as _;
                let value = format!("Bearer {}", token.expose_secret());
                endpoint
                    .headers
                    .push(("authorization".into(), value.into()));
            }
            McpTransport::Http(endpoint)
        }
    };
    let mut server = McpServer::new(&config.name, transport);
    server.allow.clone_from(&config.tools);
    server.timeout = config.timeout;
    server.needs_approval = config.ask_first;
    server
}

fn shell(config: &config::ShellConfig) -> ShellSettings {
    let mut settings = ShellSettings::default();
    settings.timeout = config.timeout;
    settings.network = config.network;
    settings.memory_bytes_max = config.memory_bytes_max;
    settings.processes_max = config.processes_max;
    settings.unsandboxed = config.unsandboxed;
    settings
}

fn web_fetch(tools: &ToolsConfig) -> anyhow::Result<WebFetchSettings> {
    let mut settings = WebFetchSettings::default();
    for host in &tools.private_hosts {
        let rule = HostRule::parse(host).context("[tools.web_fetch] allow_private_hosts")?;
        settings.allow_private_hosts.push(rule);
    }
    Ok(settings)
}
