//! `[agents]`.

use super::super::section::{Section, Spot};
use super::super::{AgentConfig, Price, schema};
use super::{Checker, NAME_BYTES_MAX};

impl Checker<'_> {
    /// The agents, the default one first; a plain `main` when none is described.
    pub(super) fn agents(&mut self, section: &Section<'_>) -> Vec<AgentConfig> {
        let described = section.sections("list");
        let mut known: Vec<(Spot<&str>, &Section<'_>)> = Vec::new();
        for agent in &described {
            agent.demand_required(&mut self.report);
            let Some(id) = agent.text("id") else {
                continue;
            };
            if id.value.trim().is_empty() || id.value.len() > NAME_BYTES_MAX {
                self.error(&id, format!("between 1 and {NAME_BYTES_MAX} bytes"));
            }
            match known.iter().find(|(earlier, _)| earlier.value == id.value) {
                Some((first, _)) => {
                    let message = format!("{:?} is the id of `{}` already", id.value, first.key);
                    self.error(&id, message);
                }
                None => known.push((id, agent)),
            }
        }
        let default = self.default_agent(section, &known);
        let mut agents: Vec<AgentConfig> = known
            .iter()
            .map(|(id, agent)| self.agent_config(id.value, agent))
            .collect();
        match agents.iter().position(|agent| agent.id == default) {
            Some(at) => agents.swap(0, at),
            None => agents.insert(0, AgentConfig::plain(&default)),
        }
        self.bindings_are_clear(&known);
        agents
    }

    /// The id of the agent that answers where nothing else is said.
    fn default_agent(
        &mut self,
        section: &Section<'_>,
        agents: &[(Spot<&str>, &Section<'_>)],
    ) -> String {
        let mut defaults = agents.iter().filter(|(_, agent)| agent.flag("default"));
        let by_flag = defaults.next();
        for (_, second) in defaults {
            let message = "another agent is the default already; there can be one";
            self.error(&second.missing("default"), message);
        }
        let Some(wanted) = section.text("default_agent_id") else {
            let first = by_flag.or_else(|| agents.first());
            return first.map_or("main", |(id, _)| id.value).to_owned();
        };
        if let Some((id, _)) = by_flag.filter(|(id, _)| id.value != wanted.value) {
            let message = format!(
                "`{}` says that it is the default, too; `{}` answers",
                id.key, wanted.value
            );
            self.warn(&wanted, message);
        }
        let is_known = agents.iter().any(|(id, _)| id.value == wanted.value);
        if !is_known && (!agents.is_empty() || section.has("list")) {
            let known = agents.iter().map(|(id, _)| id.value);
            self.unknown_agent(&wanted, known.collect());
        }
        wanted.value.to_owned()
    }

    pub(super) fn unknown_agent(&mut self, wanted: &Spot<&str>, known: Vec<&str>) {
        let hint = match schema::nearest(wanted.value, known.iter().copied()) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None if known.is_empty() => String::new(),
            None => format!("; there are: {}", known.join(", ")),
        };
        let message = format!("no agent has the id {:?}{hint}", wanted.value);
        self.error(wanted, message);
    }

    /// One chat or person can't be bound to two agents.
    fn bindings_are_clear(&mut self, agents: &[(Spot<&str>, &Section<'_>)]) {
        for (name, prefix, what) in [
            ("chats", "oc_", "a chat id"),
            ("people", "ou_", "an open id"),
        ] {
            let mut bound: Vec<(&str, &str)> = Vec::new();
            for (id, agent) in agents {
                for written in agent.texts(name) {
                    if self.id(&written, prefix, what).is_none() {
                        continue;
                    }
                    match bound.iter().find(|(known, _)| *known == written.value) {
                        Some((_, other)) => {
                            let message =
                                format!("{:?} is bound to {other:?} already", written.value);
                            self.error(&written, message);
                        }
                        None => bound.push((written.value, id.value)),
                    }
                }
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
        let model = model.and_then(|model| self.not_blank(model));
        let price = self.own_price(section, model.as_deref());
        AgentConfig {
            id: id.to_owned(),
            workspace: self.path(section, "workspace"),
            agent_dir: self.path(section, "agent_dir"),
            model,
            price,
            system_prompt: system_prompt.map(|prompt| prompt.value.to_owned()),
            tools: section.has("tools").then(|| owned(section.texts("tools"))),
            skills: section
                .has("skills")
                .then(|| owned(section.texts("skills"))),
            chats: owned(section.texts("chats")),
            people: owned(section.texts("people")),
        }
    }
}

impl Checker<'_> {
    /// What the agent's own model costs.
    fn own_price(&mut self, section: &Section<'_>, model: Option<&str>) -> Option<Price> {
        if let Some(model) = model {
            return self.price(section, model);
        }
        let names = ["input_price", "cached_input_price", "output_price"];
        if let Some(name) = names.into_iter().find(|name| section.has(name)) {
            let message = "is that of `model`, and there is none; what [llm]'s costs stands there";
            self.error(&section.spot_at(name), message);
        }
        None
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
            price: None,
            system_prompt: None,
            tools: None,
            skills: None,
            chats: Vec::new(),
            people: Vec::new(),
        }
    }
}

fn owned(written: Vec<Spot<&str>>) -> Vec<String> {
    written.iter().map(|text| text.value.to_owned()).collect()
}

/// It is sent with every question; longer ones would leave no room for the answer.
const SYSTEM_PROMPT_BYTES_MAX: usize = 64 << 10;
