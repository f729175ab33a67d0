//! `[agents]`.

use super::super::section::{Section, Spot};
use super::super::{AgentConfig, schema};
use super::{Checker, NAME_BYTES_MAX};

impl Checker<'_> {
    /// The agent that answers; a plain `main` when none is described.
    pub(super) fn agent(&mut self, section: &Section<'_>) -> Option<AgentConfig> {
        let described = section.sections("list");
        let mut agents: Vec<(Spot<&str>, &Section<'_>)> = Vec::new();
        for agent in &described {
            agent.demand_required(&mut self.report);
            let Some(id) = agent.text("id") else {
                continue;
            };
            if id.value.trim().is_empty() || id.value.len() > NAME_BYTES_MAX {
                self.error(&id, format!("between 1 and {NAME_BYTES_MAX} bytes"));
            }
            match agents.iter().find(|(known, _)| known.value == id.value) {
                Some((first, _)) => {
                    let message = format!("{:?} is the id of `{}` already", id.value, first.key);
                    self.error(&id, message);
                }
                None => agents.push((id, agent)),
            }
        }
        let chosen = self.chosen_agent(section, &agents)?;
        for (id, _) in agents.iter().filter(|(id, _)| id.value != chosen.id) {
            let message = format!("not used: `{}` is the agent that answers", chosen.id);
            self.warn(id, message);
        }
        Some(chosen)
    }

    fn chosen_agent(
        &mut self,
        section: &Section<'_>,
        agents: &[(Spot<&str>, &Section<'_>)],
    ) -> Option<AgentConfig> {
        let mut defaults = agents.iter().filter(|(_, agent)| agent.flag("default"));
        let by_flag = defaults.next();
        for (_, second) in defaults {
            let message = "another agent is the default already; there can be one";
            self.error(&second.missing("default"), message);
        }
        let Some(wanted) = section.text("default_agent_id") else {
            return Some(match by_flag.or_else(|| agents.first()) {
                Some((id, agent)) => self.agent_config(id.value, agent),
                None => AgentConfig::plain("main"),
            });
        };
        if let Some((id, _)) = by_flag.filter(|(id, _)| id.value != wanted.value) {
            let message = format!(
                "`{}` says that it is the default, too; `{}` answers",
                id.key, wanted.value
            );
            self.warn(&wanted, message);
        }
        match agents.iter().find(|(id, _)| id.value == wanted.value) {
            Some((id, agent)) => Some(self.agent_config(id.value, agent)),
            None if agents.is_empty() && !section.has("list") => {
                Some(AgentConfig::plain(wanted.value))
            }
            None => {
                let known: Vec<&str> = agents.iter().map(|(id, _)| id.value).collect();
                let hint = match schema::nearest(wanted.value, known.iter().copied()) {
                    Some(meant) => format!("; did you mean \"{meant}\"?"),
                    None if known.is_empty() => String::new(),
                    None => format!("; there are: {}", known.join(", ")),
                };
                let message = format!("no agent has the id {:?}{hint}", wanted.value);
                self.error(&wanted, message);
                None
            }
        }
    }

    fn agent_config(&mut self, id: &str, section: &Section<'_>) -> AgentConfig {
        let system_prompt = section.text("system_prompt");
        if let Some(prompt) = &system_prompt
            && prompt.value.len() > SYSTEM_PROMPT_BYTES_MAX
        {
            let message = format!("longer than {SYSTEM_PROMPT_BYTES_MAX} bytes");
            self.error(prompt, message);
        }
        let model = section.text("model");
        AgentConfig {
            id: id.to_owned(),
            workspace: self.path(section, "workspace"),
            agent_dir: self.path(section, "agent_dir"),
            model: model.and_then(|model| self.not_blank(model)),
            system_prompt: system_prompt.map(|prompt| prompt.value.to_owned()),
        }
    }
}

impl AgentConfig {
    /// An agent with nothing of its own.
    #[must_use]
    pub fn plain(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            workspace: None,
            agent_dir: None,
            model: None,
            system_prompt: None,
        }
    }
}

/// It is sent with every question; longer ones would leave no room for the answer.
const SYSTEM_PROMPT_BYTES_MAX: usize = 64 << 10;
