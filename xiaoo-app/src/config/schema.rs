//! Every key that a configuration file may have: its kind, its default, its
//! meaning. One table, from which files are checked, hints are made and the
//! reference is written.

use super::cloud::Cloud;

/// The keys of one section.
#[derive(Debug)]
pub struct Table {
    /// In the order of the reference.
    pub keys: &'static [Key],
    /// The section that has the same keys, where the reference explains them.
    pub like: Option<&'static str>,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Whether a section that is in use must have it.
    pub required: bool,
    /// Its meaning, for the reference: one sentence or two.
    pub doc: &'static str,
    /// What to write, for the reference: a TOML value; empty where it can't stand beside
    /// the others.
    pub example: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag {
        /// The value of an absent key; `None` where absence has its own meaning.
        default: Option<bool>,
    },
    /// A whole number.
    Count {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// The value of an absent key.
        default: Option<u64>,
    },
    /// What a million tokens cost: a number with a few decimals.
    Price,
    /// Any text.
    Text {
        /// The value of an absent key.
        default: Option<&'static str>,
    },
    /// One of a few words.
    Choice {
        /// The words.
        of: &'static [&'static str],
        /// The value of an absent key.
        default: &'static str,
    },
    /// Text that is never shown again.
    Secret,
    /// The name of an environment variable that holds a secret.
    Variable,
    /// A file or directory.
    Path,
    /// A list of texts.
    Texts,
    /// Anything that JSON can say too.
    Free,
    /// A section of its own.
    Section(&'static Table),
    /// `[[several]]` sections.
    Sections(&'static Table),
    /// Sections with names of the operator's own; the key's example is one.
    NamedSections(&'static Table),
    /// Known, and without effect here: a warning says why.
    Ignored(&'static str),
}

/// The whole file.
pub static ROOT: Table = Table {
    keys: &[
        Key::new("llm", Kind::Section(&LLM), "The model that answers.").required(),
        Key::new(
            "channels",
            Kind::Section(&CHANNELS),
            "Where people talk to it.",
        ),
        Key::new("agents", Kind::Section(&AGENTS), "Who it is."),
        Key::new("skills", Kind::Section(&SKILLS), "What it can read up on."),
        Key::new(
            "store",
            Kind::Section(&STORE),
            "Where what must not be lost is kept.",
        ),
        Key::new(
            "limits",
            Kind::Section(&LIMITS),
            "What may be used up at once.",
        ),
        Key::new("http", Kind::Section(&HTTP), "The daemon's own pages."),
        Key::new("tools", Kind::Section(&TOOLS), "What the model may do."),
        Key::new("agent", UPSTREAM, ""),
        Key::new("subagent", UPSTREAM, ""),
        Key::new("paths", UPSTREAM, ""),
        Key::new("trace", UPSTREAM, ""),
        Key::new("telemetry", UPSTREAM, ""),
        Key::new("compact", UPSTREAM, ""),
        Key::new("hooker", UPSTREAM, ""),
        Key::new("lsp", UPSTREAM, ""),
        Key::new("operation_backend", UPSTREAM, ""),
        Key::new("memory", UPSTREAM, ""),
        Key::new(
            "mcp",
            Kind::Ignored("MCP servers are in [tools.mcp.NAME]"),
            "",
        ),
        Key::new("cron", UPSTREAM, ""),
    ],
    like: None,
};

/// Parts of the upstream system whose configuration is met in the wild.
const UPSTREAM: Kind = Kind::Ignored("this program has no such part");

static LLM: Table = Table {
    keys: &[
        Key::new("provider", TEXT, "Whose dialect is spoken: openrouter, deepseek, zhipu, moonshot, openai, ollama, llamacpp, litellm, vllm, or compatible for any other OpenAI-compatible server.")
            .required()
            .example("\"openrouter\""),
        Key::new("api_base", TEXT, "Where it answers, up to and including the version part. Needed where the provider has no address of its own.")
            .example("\"https://openrouter.ai/api/v1\""),
        Key::new("model", TEXT, "The model's name, as the server knows it.")
            .required()
            .example("\"z-ai/glm-5\""),
        Key::new("api_key_env", Kind::Variable, "The variable that holds the key. Local servers need none.")
            .example("\"OPENROUTER_API_KEY\""),
        Key::new("max_tokens", Kind::Count { min: 1, max: 10_000_000, default: None }, "Tokens of one answer; the server's own default when absent.")
            .example("8192"),
        Key::new("timeout_secs", Kind::Count { min: 1, max: 3600, default: Some(120) }, "Seconds in which the model must send something. There is no limit on a whole answer: one that keeps coming is a good one."),
        Key::new("context_window", Kind::Count { min: 1024, max: 100_000_000, default: None }, "Tokens that the model can read; bounds how much of a conversation is sent.")
            .example("131072"),
        Key::new("vision", Kind::Flag { default: Some(false) }, "Whether the model can see: pictures are then sent to it, else it gets their file names."),
        INPUT_PRICE,
        CACHED_INPUT_PRICE,
        OUTPUT_PRICE,
        Key::new("currency", Kind::Text { default: Some("USD") }, "What prices are in, here and at other models; only shown, beside the sums."),
        Key::new("fallbacks", Kind::Sections(&FALLBACK), "Models to ask, in this order, when the one before is down. With neither provider nor api_base of its own one is asked at the server of [llm]."),
        Key::new("extra_body", Kind::Free, "Further fields of the request, as the provider documents them.")
            .example("{ temperature = 0.3 }"),
        Key::new("kvcache_enabled", UPSTREAM, ""),
        Key::new("kvcache_debug_enabled", UPSTREAM, ""),
    ],
    like: None,
};

const INPUT_PRICE: Key = Key::new("input_price", Kind::Price, "What a million tokens cost that the model reads. With it and output_price, /metrics counts what the model costs.").example("0.6");
const CACHED_INPUT_PRICE: Key = Key::new("cached_input_price", Kind::Price, "What a million of those cost that the server still knew from before; as the others when absent.").example("0.11");
const OUTPUT_PRICE: Key = Key::new(
    "output_price",
    Kind::Price,
    "What a million tokens cost that the model writes.",
)
.example("2.2");

static FALLBACK: Table = Table {
    keys: &[
        Key::new("provider", TEXT, "As in [llm].").example("\"deepseek\""),
        Key::new("api_base", TEXT, "As in [llm].").example("\"https://api.deepseek.com\""),
        Key::new("model", TEXT, "The model's name, as its server knows it.")
            .required()
            .example("\"deepseek-chat\""),
        Key::new(
            "api_key_env",
            Kind::Variable,
            "The variable that holds this server's key.",
        )
        .example("\"DEEPSEEK_API_KEY\""),
        Key::new(
            "max_tokens",
            Kind::Count {
                min: 1,
                max: 10_000_000,
                default: None,
            },
            "As in [llm].",
        )
        .example("8192"),
        Key::new(
            "context_window",
            Kind::Count {
                min: 1024,
                max: 100_000_000,
                default: None,
            },
            "As in [llm].",
        )
        .example("65536"),
        Key::new(
            "vision",
            Kind::Flag {
                default: Some(false),
            },
            "As in [llm].",
        ),
        Key::new("input_price", Kind::Price, "As in [llm].").example("0.27"),
        Key::new("cached_input_price", Kind::Price, "As in [llm].").example("0.07"),
        Key::new("output_price", Kind::Price, "As in [llm].").example("1.1"),
        Key::new("extra_body", Kind::Free, "As in [llm].").example("{ temperature = 0.3 }"),
    ],
    like: None,
};

static CHANNELS: Table = Table {
    keys: &[
        Key::new("feishu", Kind::Section(&FEISHU), "The Feishu or Lark app."),
        Key::new("telegram", UPSTREAM, ""),
        Key::new("interaction_timeout_secs", UPSTREAM, ""),
    ],
    like: None,
};

/// What is said of a bot: the one of `[channels.feishu]`, or one of its accounts.
macro_rules! bot {
    ($($more:expr),* $(,)?) => {
        &[
        Key::new("enabled", Kind::Flag { default: Some(true) }, "false leaves the channel off; its other keys are then not demanded."),
        Key::new("transport", Kind::Choice { of: &["webhook", "websocket"], default: "webhook" }, "How events come in: Feishu posts them to a public URL, or the daemon opens a long connection."),
        Key::new("app_id", TEXT, "App ID, from the app's credentials page.")
            .required()
            .example("\"cli_a1b2c3d4e5f60001\""),
        Key::new("app_secret_env", Kind::Variable, "The variable that holds the App Secret.")
            .required()
            .example("\"FEISHU_APP_SECRET\""),
        Key::new("verification_token", Kind::Secret, "Verification Token, from the app's event page; proves the origin of webhook events.")
            .example("\"…\""),
        Key::new("encrypt_key_env", Kind::Variable, "The variable that holds the Encrypt Key, if the app has one: webhook events are then encrypted and signed.")
            .example("\"FEISHU_ENCRYPT_KEY\""),
        Key::new("accept_unverified_events", Kind::Flag { default: Some(false) }, "true runs a webhook with neither token nor key: anyone who finds the URL can speak as anyone."),
        Key::new("domain", Kind::Choice { of: &Cloud::DOMAINS, default: Cloud::Feishu.domain() }, "Whose cloud: open.feishu.cn or open.larksuite.com."),
        Key::new("base_url", TEXT, "Where the OpenAPI is, if not at the domain's own address: a private deployment, or a simulator on this machine.")
            .example("\"https://open.feishu.cn\""),
        Key::new("channel_instance_id", Kind::Text { default: Some("feishu") }, "The first part of every conversation's id. Daemons that share a store have the same."),
        Key::new("reaction", Kind::Text { default: Some("Get") }, "The reaction on a message while it is worked on, one of Feishu's emoji names; \"off\" for none."),
        Key::new("progress", Kind::Choice { of: &["card", "stream", "off"], default: "card" }, "What is shown while a turn runs: a card, the growing answer (a card, for now), or nothing."),
        Key::new("recover_after_secs", Kind::Count { min: 1, max: 31_536_000, default: None }, "After an outage of so many seconds the chats that are known are read back, and what was missed is answered late. Feishu itself pushes again for 7 h 22 min (26520). In groups this needs the permission im:message.group_msg. Off when absent.")
            .example("27000"),
        Key::new("require_mention", Kind::Flag { default: Some(true) }, "In groups, answer only when the bot is mentioned."),
        Key::new("respond_to_all", Kind::Flag { default: Some(false) }, "A mention of everyone counts as a mention of the bot."),
        Key::new("dm_policy", Kind::Choice { of: &["open", "allowlist", "pairing", "disabled"], default: "open" }, "Who may talk to the bot directly; allowlist means allow_users, pairing also whoever an admin has let in by a code."),
        Key::new("group_policy", ACCESS, "In which groups it answers; allowlist means allow_chats."),
        Key::new("allow_users", Kind::Texts, "Open ids.").example("[\"ou_…\"]"),
        Key::new("allow_chats", Kind::Texts, "Chat ids.").example("[\"oc_…\"]"),
        Key::new("admins", Kind::Texts, "Open ids that are always let in.").example("[\"ou_…\"]"),
        Key::new("ca_file", Kind::Path, "Further certificate authorities (PEM), for a proxy with its own.")
            .example("\"/etc/ssl/corp.pem\""),
        Key::new("allowed_ws_hosts", Kind::Texts, "One host, or suffix with a leading dot, that the long connection may go to beside the vendor's own.")
            .example("[\".gateway.example.com\"]"),
        Key::new("chats", Kind::NamedSections(&CHAT), "Exceptions for single chats.").example("\"oc_…\""),
        Key::new("allow_bots", Kind::Flag { default: Some(false) }, "Whether other bots are answered, where they mention this one."),
        Key::new("bot_turns_max", Kind::Count { min: 1, max: 1000, default: Some(5) }, "Answers in a row that other bots get in one chat before a person has to say something: two bots must not talk for ever."),
        Key::new("agent", TEXT, "Which of [[agents.list]] answers here; else the default one.").example("\"main\""),
        Key::new("max_concurrent_turns", Kind::Count { min: 1, max: 1024, default: None }, "Turns that run at once for this bot; [limits] says so when absent.").example("4"),
        $($more),*
    ]};
}

static FEISHU: Table = Table {
    keys: bot![Key::new(
        "accounts",
        Kind::Sections(&ACCOUNT),
        "Further bots in the same daemon, each with an app, a route (/api/v1/channels/ID/events, where ID is its channel_instance_id), limits and a store of its own."
    ),],
    like: None,
};

static ACCOUNT: Table = Table {
    keys: bot![],
    like: Some("channels.feishu"),
};

const ACCESS: Kind = Kind::Choice {
    of: &["open", "allowlist", "disabled"],
    default: "open",
};

static CHAT: Table = Table {
    keys: &[
        Key::new(
            "enabled",
            Kind::Flag { default: None },
            "false: not here; true: here, whatever group_policy says.",
        )
        .example("true"),
        Key::new(
            "require_mention",
            Kind::Flag { default: None },
            "Overrides the channel's.",
        )
        .example("false"),
        Key::new(
            "respond_to_all",
            Kind::Flag { default: None },
            "Overrides the channel's.",
        )
        .example("true"),
    ],
    like: None,
};

static AGENTS: Table = Table {
    keys: &[
        Key::new(
            "default_agent_id",
            TEXT,
            "Which agent answers; else the one with default = true, else the first.",
        )
        .example("\"main\""),
        Key::new("list", Kind::Sections(&AGENT), "The agents."),
    ],
    like: None,
};

static AGENT: Table = Table {
    keys: &[
        Key::new("id", TEXT, "Its name.")
            .required()
            .example("\"main\""),
        Key::new(
            "default",
            Kind::Flag {
                default: Some(false),
            },
            "Whether it answers when default_agent_id does not say.",
        ),
        Key::new("workspace", Kind::Path, "The directory it works in.")
            .example("\"/opt/xiaoo/app\""),
        Key::new(
            "agent_dir",
            Kind::Path,
            "The directory of its own data; the store is here unless [store] says otherwise.",
        )
        .example("\"/var/lib/xiaoo/agents/main\""),
        Key::new("model", TEXT, "Its own model instead of [llm]'s.").example("\"z-ai/glm-5\""),
        Key::new("input_price", Kind::Price, "What that model costs, as in [llm].").example("0.6"),
        Key::new("cached_input_price", Kind::Price, "As in [llm].").example("0.11"),
        Key::new("output_price", Kind::Price, "As in [llm].").example("2.2"),
        Key::new(
            "system_prompt",
            TEXT,
            "Its own instructions instead of the built-in ones.",
        )
        .example("\"You are the help desk of …\""),
        Key::new(
            "tools",
            Kind::Texts,
            "The tools it has, by name; the usual ones and those of [tools] enable when absent.",
        )
        .example("[\"read_file\", \"web_fetch\"]"),
        Key::new(
            "skills",
            Kind::Texts,
            "The skills it has, by name; all when absent.",
        )
        .example("[\"weekly-report\"]"),
        Key::new(
            "chats",
            Kind::Texts,
            "Chats in which it answers instead of the default one (chat ids).",
        )
        .example("[\"oc_…\"]"),
        Key::new(
            "people",
            Kind::Texts,
            "People whom it answers instead of the default one, where the chat does not say (open ids).",
        )
        .example("[\"ou_…\"]"),
    ],
    like: None,
};

static SKILLS: Table = Table {
    keys: &[
        Key::new(
            "dirs",
            Kind::Texts,
            "Directories of skills, in order of precedence; behind .xiaoo/skills of the workspace, before ~/.xiaoo/skills and /usr/lib/.xiaoo/skills.",
        )
        .example("[\"/opt/xiaoo/adt/skills\"]"),
        Key::new("allow_scripts", UPSTREAM, ""),
    ],
    like: None,
};

static TOOLS: Table = Table {
    keys: &[
        Key::new("enable", Kind::Texts, "Tools beyond the usual ones: shell, web_fetch, ask_user.")
            .example("[\"shell\", \"web_fetch\", \"ask_user\"]"),
        Key::new("ask_first", Kind::Texts, "Tools that ask the person in the chat before each call, by name, or with a * at the end; shell when absent.")
            .example("[\"shell\", \"mcp__*\"]"),
        Key::new("approval_timeout_secs", Kind::Count { min: 5, max: 86_400, default: Some(600) }, "Seconds in which somebody must agree; silence is a no."),
        Key::new("shell", Kind::Section(&SHELL), "Commands in a sandbox, in the conversation's directory."),
        Key::new("web_fetch", Kind::Section(&WEB_FETCH), "Pages of the web."),
        Key::new("mcp", Kind::NamedSections(&MCP), "Servers of the Model Context Protocol: a program to start, or an address.")
            .example("github"),
    ],
    like: None,
};

static SHELL: Table = Table {
    keys: &[
        Key::new(
            "timeout_secs",
            Kind::Count {
                min: 1,
                max: 3600,
                default: Some(60),
            },
            "Seconds that one command may take.",
        ),
        Key::new(
            "network",
            Kind::Flag {
                default: Some(false),
            },
            "Whether commands may use the network.",
        ),
        Key::new(
            "memory_mb",
            Kind::Count {
                min: 16,
                max: 1_048_576,
                default: Some(1024),
            },
            "Megabytes of memory that one process of a command may take.",
        ),
        Key::new(
            "processes_max",
            Kind::Count {
                min: 4,
                max: 65_536,
                default: Some(64),
            },
            "Processes that one command may have.",
        ),
        Key::new(
            "unsandboxed",
            Kind::Flag {
                default: Some(false),
            },
            "true runs commands without a sandbox where the kernel has none; else they are refused there. Whoever talks to the bot can then do what the daemon's user can.",
        ),
    ],
    like: None,
};

static WEB_FETCH: Table = Table {
    keys: &[
        Key::new("allow_private_hosts", Kind::Texts, "Hosts that may be fetched although their addresses are private, by name, or with a leading dot for all below; with :PORT for one beside 80, 443, 8080 and 8443.")
            .example("[\"wiki.corp.example\"]"),
    ],
    like: None,
};

static MCP: Table = Table {
    keys: &[
        Key::new("command", TEXT, "The program that is the server.").example("\"/usr/local/bin/github-mcp\""),
        Key::new("args", Kind::Texts, "Its arguments.").example("[\"stdio\"]"),
        Key::new("env", Kind::Texts, "Variables that are passed on to it, by name; it gets no others but PATH, HOME and the language.")
            .example("[\"GITHUB_TOKEN\"]"),
        Key::new("url", TEXT, "Instead of `command`, `args` and `env`, the server's address, such as \"https://mcp.example.com/mcp\"."),
        Key::new("bearer_token_env", Kind::Variable, "The variable that holds the token for that address, such as \"MCP_TOKEN\"."),
        Key::new("tools", Kind::Texts, "Which of its tools are offered; all when absent.").example("[\"search_issues\"]"),
        Key::new("ask_first", Kind::Flag { default: Some(true) }, "Whether tools that are not declared read-only ask the person in the chat first."),
        Key::new("timeout_secs", Kind::Count { min: 1, max: 3600, default: Some(60) }, "Seconds that one call may take."),
    ],
    like: None,
};

static STORE: Table = Table {
    keys: &[
        Key::new("url", TEXT, "sqlite:PATH (relative to this file), or postgres://USER@HOST:PORT/DATABASE for several daemons on one store, with ?schema=NAME where others have tables in it; xiaoo.db in the default agent's agent_dir when absent, else in ~/.local/state/xiaoo.")
            .example("\"postgres://xiaoo@10.0.0.5/xiaoo\""),
        Key::new("password_env", TEXT, "The variable with the server's password; PGPASSWORD when absent. A password in the url works too, and is then in this file.")
            .example("\"XIAOO_STORE_PASSWORD\""),
    ],
    like: None,
};

static LIMITS: Table = Table {
    keys: &[
        Key::new(
            "max_concurrent_turns",
            Kind::Count {
                min: 1,
                max: 1024,
                default: Some(8),
            },
            "Turns that run at once, over all conversations.",
        ),
        Key::new(
            "turn_timeout_secs",
            Kind::Count {
                min: 1,
                max: 86_400,
                default: Some(600),
            },
            "Seconds that one turn may take.",
        ),
        Key::new(
            "max_steps",
            Kind::Count {
                min: 1,
                max: 1000,
                default: Some(20),
            },
            "Questions to the model in one turn.",
        ),
        Key::new(
            "max_queue_per_conversation",
            Kind::Count {
                min: 1,
                max: 100_000,
                default: Some(xiaoo_store::limits::QUEUED_PER_CONVERSATION_MAX),
            },
            "Messages that may wait in one conversation; to more the answer is that it is busy, once in a while.",
        ),
        Key::new(
            "max_queue",
            Kind::Count {
                min: 1,
                max: 10_000_000,
                default: Some(xiaoo_store::limits::QUEUED_MAX),
            },
            "Messages that may wait in all.",
        ),
        Key::new(
            "message_age_max_secs",
            Kind::Count {
                min: 1,
                max: 31_536_000,
                default: None,
            },
            "Seconds after which a message is too old to be answered, after an outage say; no limit when absent.",
        )
        .example("7200"),
        Key::new(
            "late_messages",
            Kind::Choice { of: &["notice", "ignore"], default: "notice" },
            "What happens to a message that is too old: its sender is told, or nothing but a line in the log.",
        ),
        Key::new(
            "ack_deadline_ms",
            Kind::Count {
                min: 50,
                max: 2500,
                default: Some(1500),
            },
            "Milliseconds in which an event must be durable, or it is refused and sent again. Feishu gives up after 3000.",
        ),
        Key::new(
            "shutdown_grace_secs",
            Kind::Count {
                min: 0,
                max: 3600,
                default: Some(20),
            },
            "Seconds that running turns may go on after the daemon was told to stop; what is left goes on at the next start.",
        ),
        Key::new(
            "person_turns_per_day",
            Kind::Count { min: 1, max: 1_000_000, default: None },
            "Messages of one person that are answered in a day (UTC+8); no limit when absent.",
        )
        .example("200"),
        Key::new(
            "person_tokens_per_day",
            Kind::Count { min: 1, max: 1_000_000_000_000, default: None },
            "Tokens that one person may use in a day; no limit when absent.",
        )
        .example("2000000"),
        Key::new(
            "chat_turns_per_day",
            Kind::Count { min: 1, max: 1_000_000, default: None },
            "Messages that are answered in one chat in a day; no limit when absent.",
        )
        .example("1000"),
        Key::new(
            "chat_tokens_per_day",
            Kind::Count { min: 1, max: 1_000_000_000_000, default: None },
            "Tokens that one chat may use in a day; no limit when absent.",
        )
        .example("10000000"),
        Key::new(
            "file_mb",
            Kind::Count { min: 1, max: 1024, default: Some(30) },
            "Megabytes of one file that is taken from a chat.",
        ),
        Key::new(
            "conversation_mb",
            Kind::Count { min: 1, max: 1_048_576, default: Some(512) },
            "Megabytes that the files of one conversation may take together.",
        ),
    ],
    like: None,
};

static HTTP: Table = Table {
    keys: &[
        Key::new("bearer_token_env", Kind::Variable, "The variable that holds the token that callers from other machines present (Authorization: Bearer …) for metrics, the dashboard and the details of readiness. Without one the dashboard is for this machine alone, and metrics and readiness are for whoever reaches the port.")
            .example("\"XIAOO_HTTP_TOKEN\""),
        Key::new("metrics", Kind::Flag { default: Some(true) }, "Whether /metrics answers."),
        Key::new("dashboard", Kind::Flag { default: Some(true) }, "Whether / shows the dashboard."),
        Key::new("rate_limit", UPSTREAM, ""),
    ],
    like: None,
};

const TEXT: Kind = Kind::Text { default: None };

impl Table {
    /// The key of that name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The name that `word` was probably meant to be, of those that do something.
    #[must_use]
    pub fn nearest(&self, word: &str) -> Option<&'static str> {
        let keys = self.keys.iter();
        let of_use = keys.filter(|key| !matches!(key.kind, Kind::Ignored(_)));
        nearest(word, of_use.map(|key| key.name))
    }
}

impl Kind {
    /// Whether a value stands behind the key, and no section.
    #[must_use]
    pub fn is_value(&self) -> bool {
        self.table().is_none() && !matches!(self, Self::Ignored(_))
    }

    /// What holds where the key is absent, as it would be written; `None` where absence has its
    /// own meaning.
    #[must_use]
    pub fn default(&self) -> Option<String> {
        match self {
            Self::Flag { default } => default.map(|flag| flag.to_string()),
            Self::Count { default, .. } => default.map(|count| count.to_string()),
            Self::Text { default } => default.map(|text| format!("{text:?}")),
            Self::Choice { default, .. } => Some(format!("{default:?}")),
            Self::Price
            | Self::Secret
            | Self::Variable
            | Self::Path
            | Self::Texts
            | Self::Free
            | Self::Section(_)
            | Self::Sections(_)
            | Self::NamedSections(_)
            | Self::Ignored(_) => None,
        }
    }

    /// The keys of the section that it is.
    #[must_use]
    pub fn table(&self) -> Option<&'static Table> {
        match self {
            Self::Section(inner) | Self::Sections(inner) | Self::NamedSections(inner) => {
                Some(inner)
            }
            Self::Flag { .. }
            | Self::Count { .. }
            | Self::Price
            | Self::Text { .. }
            | Self::Choice { .. }
            | Self::Secret
            | Self::Variable
            | Self::Path
            | Self::Texts
            | Self::Free
            | Self::Ignored(_) => None,
        }
    }
}

impl Key {
    /// Where the section is that the key below `path` names, how its header is written, and what
    /// may stand in it; `None` of a value.
    #[must_use]
    pub fn section(&self, path: &str) -> Option<(String, String, &'static Table)> {
        let inner = self.kind.table()?;
        let below = match path {
            "" => self.name.to_owned(),
            path => format!("{path}.{}", self.name),
        };
        let header = if matches!(self.kind, Kind::Sections(_)) {
            format!("[[{below}]]")
        } else if matches!(self.kind, Kind::NamedSections(_)) {
            format!("[{below}.{}]", self.example)
        } else {
            format!("[{below}]")
        };
        Some((below, header, inner))
    }

    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            required: false,
            doc,
            example: "",
        }
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
}

/// The known name that `word` was probably meant to be.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&word, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Below this a hint misleads more often than it helps; `api_key` for
/// `api_key_env` is 0.64.
const LIKENESS_MIN: f64 = 0.6;

/// The sections that have a key of this name, as paths.
#[must_use]
pub fn sections_with(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect_sections_with(name, &ROOT, "", &mut found);
    found
}

fn collect_sections_with(name: &str, table: &Table, path: &str, found: &mut Vec<String>) {
    for key in table.keys {
        let Some((below, _, inner)) = key.section(path) else {
            continue;
        };
        // Where names are the operator's own, no name can be told.
        if matches!(key.kind, Kind::NamedSections(_)) {
            continue;
        }
        let known = inner.key(name);
        if known.is_some_and(|key| !matches!(key.kind, Kind::Ignored(_))) {
            found.push(below.clone());
        }
        collect_sections_with(name, inner, &below, found);
    }
}
