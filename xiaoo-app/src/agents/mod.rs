//! The agents of `[[agents.list]]`: who answers, with which model, tools and skills, and where.

pub mod chats;
mod kit;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use xiaoo_agent::{
    ApprovalRules, McpServers, Model, ModelChain, SkillLimits, SkillRegistry, SkillRoot, ToolSet,
    TurnLimits,
};

use crate::clients::Clients;
use crate::config::{AgentConfig, Config};

pub use kit::Kit;

/// What the model is told first, unless the agent has a prompt of its own.
const SYSTEM_PROMPT: &str = "You are 小欧 (xiaoO), an assistant in the work chat Feishu (Lark). \
Answer in the language of the person who writes to you. Be concise and precise; use Markdown \
(bold, lists, code blocks, tables) where it helps. Say so when you do not know something.";

/// What a command's own time-out is ahead of the loop's, which tells the model less.
const TOOL_SLACK: Duration = Duration::from_secs(15);
/// Bytes of a conversation's name that its directory has: names are of one level.
const DIRECTORY_BYTES_MAX: usize = 96;

/// One agent, ready to answer. Bots that have the same agent share it.
pub struct Agent {
    /// Its name.
    pub id: String,
    /// What it asks.
    pub models: ModelChain,
    /// What the model may call in every turn.
    pub tools: ToolSet,
    /// The names of its tools, where it names them.
    pub allowed_tools: Option<Vec<String>>,
    /// The servers whose tools it may call, too.
    pub mcp: Option<Arc<McpServers>>,
    /// What it can read up on.
    pub skills: Option<Arc<SkillRegistry>>,
    /// The names of its skills, where it names them.
    pub allowed_skills: Option<Vec<String>>,
    /// Which of these ask first.
    pub approvals: ApprovalRules,
    /// What the model is told first.
    pub prompt: String,
    /// The bounds of one turn.
    pub limits: TurnLimits,
    /// Where the conversations' directories are; `None` for an agent that has no files.
    pub workspace: Option<PathBuf>,
    known: Mutex<Arc<kit::Known>>,
}

impl Agent {
    /// An agent that has a model and these tools, and nothing else.
    #[must_use]
    pub fn plain(id: &str, models: ModelChain, tools: ToolSet, prompt: &str) -> Self {
        Self {
            id: id.to_owned(),
            models,
            tools,
            allowed_tools: None,
            mcp: None,
            skills: None,
            allowed_skills: None,
            approvals: ApprovalRules::none(),
            prompt: prompt.to_owned(),
            limits: TurnLimits::default(),
            workspace: None,
            known: Mutex::default(),
        }
    }

    /// Where the files of a conversation are.
    #[must_use]
    pub fn conversation_root(&self, conversation: &str) -> Option<PathBuf> {
        Some(self.chats()?.join(directory_of(conversation)))
    }

    fn chats(&self) -> Option<PathBuf> {
        Some(self.workspace.as_deref()?.join("chats"))
    }

    /// The names of its models, in the order in which they are asked.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        self.models
            .iter()
            .map(|model| model.config().model.as_str())
    }

    /// The model that is asked first where a conversation is set to this one.
    #[must_use]
    pub fn model_name<'a>(&'a self, set: Option<&str>) -> &'a str {
        let chosen = self.model_names().find(|name| Some(*name) == set);
        chosen.unwrap_or(&self.models.first().config().model)
    }

    /// Its models, with this one in front.
    #[must_use]
    pub fn models_led_by(&self, name: Option<&str>) -> ModelChain {
        let is_chosen = |model: &&Model| Some(model.config().model.as_str()) == name;
        let Some(chosen) = self.models.iter().find(is_chosen) else {
            return self.models.clone();
        };
        let others = self.models.iter().filter(|model| !is_chosen(model));
        others.fold(ModelChain::new(chosen.clone()), |chain, model| {
            chain.or(model.clone())
        })
    }
}

/// Who answers where.
pub struct Agents {
    default: Arc<Agent>,
    bound: Vec<Bound>,
}

/// An agent that answers in some chats, or some people.
struct Bound {
    agent: Arc<Agent>,
    chats: Vec<String>,
    people: Vec<String>,
}

impl Agents {
    /// One agent for everybody.
    #[must_use]
    pub fn one(agent: Agent) -> Self {
        Self {
            default: Arc::new(agent),
            bound: Vec::new(),
        }
    }

    /// Who answers this person in this chat: the chat's agent, else the person's, else the bot's.
    #[must_use]
    pub fn of(&self, chat_id: &str, open_id: &str) -> &Arc<Agent> {
        let has = |ids: &[String], id: &str| ids.iter().any(|known| known == id);
        let by_chat = self.bound.iter().find(|bound| has(&bound.chats, chat_id));
        let by_person = || self.bound.iter().find(|bound| has(&bound.people, open_id));
        by_chat
            .or_else(by_person)
            .map_or(&self.default, |bound| &bound.agent)
    }

    /// Removes the directories of conversations that were not used since then, and says how many
    /// they were.
    pub async fn forget_unused(&self, since_ms: i64) -> usize {
        let bound = self.bound.iter().map(|bound| &bound.agent);
        let agents = bound.chain([&self.default]);
        let mut places: Vec<PathBuf> = agents.filter_map(|agent| agent.chats()).collect();
        places.sort();
        places.dedup();
        if places.is_empty() {
            return 0;
        }
        let removing = tokio::task::spawn_blocking(move || chats::remove_unused(&places, since_ms));
        removing.await.unwrap_or_default()
    }

    /// The one that answers where nothing else is said.
    #[must_use]
    pub fn default_agent(&self) -> &Arc<Agent> {
        &self.default
    }
}

/// All agents of a configuration.
pub struct Roster {
    agents: Vec<(Arc<Agent>, AgentConfig)>,
}

impl Roster {
    /// Builds them, and begins to connect to their servers. Must be called in a runtime.
    ///
    /// # Errors
    /// What is wrong with one, and with which.
    pub fn new(config: &Config, clients: &mut Clients) -> anyhow::Result<Self> {
        let mcp = tools::servers(&config.tools, clients)?.map(Arc::new);
        let agents = config.agents.iter().map(|described| {
            let agent = build(config, described, mcp.clone(), clients)
                .with_context(|| format!("the agent {} cannot be used", described.id))?;
            Ok((Arc::new(agent), described.clone()))
        });
        Ok(Self {
            agents: agents.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Who answers for a bot; `own` is the agent that it names.
    #[must_use]
    pub fn of_bot(&self, own: Option<&str>) -> Option<Agents> {
        let is_own = |(agent, _): &&(Arc<Agent>, _)| Some(agent.id.as_str()) == own;
        let named = self.agents.iter().find(is_own);
        let (default, _) = named.or_else(|| self.agents.first())?;
        let bound = self.agents.iter().map(|(agent, config)| Bound {
            agent: Arc::clone(agent),
            chats: config.chats.clone(),
            people: config.people.clone(),
        });
        Some(Agents {
            default: Arc::clone(default),
            bound: bound.collect(),
        })
    }
}

fn build(
    config: &Config,
    described: &AgentConfig,
    mcp: Option<Arc<McpServers>>,
    clients: &mut Clients,
) -> anyhow::Result<Agent> {
    let mut models = Vec::new();
    for config in config.llm.model_configs(described.model.as_deref()) {
        let name = config.model.clone();
        let model = Model::new(clients.of(&config.api_base)?, config)
            .with_context(|| format!("[llm] the model {name} cannot be used"))?;
        models.push(model);
    }
    let mut models = models.into_iter();
    let first = models.next().context("no model is configured")?;
    let models = models.fold(ModelChain::new(first), ModelChain::or);
    let mut limits = TurnLimits::default();
    limits.steps_max = config.limits.max_steps;
    limits.turn_timeout = config.limits.turn_timeout;
    limits.tool_timeout = limits
        .tool_timeout
        .max(config.tools.shell.timeout + TOOL_SLACK);
    let workspace = workspace(config, described);
    Ok(Agent {
        id: described.id.clone(),
        models,
        tools: tools::of(&config.tools, described, clients)?,
        allowed_tools: described.tools.clone(),
        mcp,
        skills: Some(Arc::new(SkillRegistry::new(
            SkillRoot::levels(
                workspace.as_deref(),
                &config.skills.dirs,
                config.skills.home.as_deref(),
            ),
            SkillLimits::default(),
        ))),
        allowed_skills: described.skills.clone(),
        approvals: config.tools.ask_first.iter().cloned().collect(),
        prompt: described
            .system_prompt
            .clone()
            .unwrap_or_else(|| SYSTEM_PROMPT.to_owned()),
        limits,
        workspace,
        known: Mutex::default(),
    })
}

/// Where an agent's conversations have their files, if nothing is said: beside its data.
fn workspace(config: &Config, described: &AgentConfig) -> Option<PathBuf> {
    let beside_store = || match &config.store.url {
        xiaoo_store::StoreUrl::Sqlite(path) => path.parent().map(Path::to_path_buf),
        xiaoo_store::StoreUrl::Postgres(_) | _ => None,
    };
    described.workspace.clone().or_else(|| {
        described
            .agent_dir
            .clone()
            .or_else(beside_store)
            .map(|dir| dir.join("workspace"))
    })
}

/// A conversation's name as that of a directory: readable, and no two alike.
fn directory_of(conversation: &str) -> String {
    let plain: String = conversation
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
                c
            } else {
                '.'
            }
        })
        .take(DIRECTORY_BYTES_MAX)
        .collect();
    let digest = Sha256::digest(conversation.as_bytes());
    let tail: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{tail}", plain.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::directory_of;

    #[test]
    fn every_conversation_has_a_directory_of_its_own() {
        let names = [
            "feishu:oc_1",
            "feishu.oc_1",
            "feishu:oc_1:omt_1",
            "../../etc",
            "",
            &"x".repeat(500),
            &"x".repeat(501),
        ];
        let mut directories: Vec<String> = names.iter().map(|name| directory_of(name)).collect();
        for directory in &directories {
            assert!(
                !directory.starts_with('.') && !directory.contains('/'),
                "{directory}"
            );
            assert!(directory.len() < 128, "{directory}");
        }
        directories.sort();
        directories.dedup();
        assert_eq!(directories.len(), names.len());
    }
}
