//! Configurations that load, and what they load as.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use xiaoo_agent::Provider;
use xiaoo_app::config::{
    Access, AgentConfig, BudgetConfig, ChatConfig, Config, DirectAccess, McpTransport, Price,
    Prices, ProgressStyle, ShellConfig, Transport, Warning,
};
use xiaoo_store::StoreUrl;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "FEISHU_APP_SECRET" => "planted-app-secret",
        "OPENROUTER_API_KEY" => "planted-api-key",
        "FEISHU_ENCRYPT_KEY" => " planted-encrypt-key\n",
        "HTTP_TOKEN" => "planted-http-token",
        "HOME" => "/home/me",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load(text: &str) -> (Config, Vec<String>) {
    let path = Path::new("/etc/xiaoo/config.toml");
    let (config, warnings) = Config::parse(path, text, &env).unwrap_or_else(|why| panic!("{why}"));
    (config, warnings.iter().map(Warning::to_string).collect())
}

const LEAST: &str = r#"
[llm]
provider = "openrouter"
model = "z-ai/glm-5"
api_key_env = "OPENROUTER_API_KEY"

[channels.feishu]
transport = "websocket"
app_id = "cli_a1b2c3d4e5f60001"
app_secret_env = "FEISHU_APP_SECRET"
"#;

#[test]
fn the_published_examples_load() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    for (name, transport, store) in [
        (
            "webhook.toml",
            Transport::Webhook,
            "sqlite:/var/lib/xiaoo/agents/main/xiaoo.db",
        ),
        (
            "long-connection.toml",
            Transport::Websocket,
            "sqlite:/var/lib/xiaoo/agents/main/xiaoo.db",
        ),
        (
            "local.toml",
            Transport::Websocket,
            "sqlite:/home/me/.local/state/xiaoo/xiaoo.db",
        ),
    ] {
        let loaded = Config::load(&directory.join(name), &env);
        let (config, _) = loaded.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(config.llm.main.provider, Provider::OpenRouter, "{name}");
        assert_eq!(
            config.llm.main.api_base, "https://openrouter.ai/api/v1",
            "{name}"
        );
        assert_eq!(config.llm.main.model, "z-ai/glm-5", "{name}");
        assert_eq!(config.llm.main.max_tokens, Some(8192), "{name}");
        assert_eq!(config.agents[0].id, "main", "{name}");
        assert_eq!(config.store.url.to_string(), store, "{name}");
        let skills: &[PathBuf] = match name {
            "local.toml" => &[],
            _ => &["/opt/xiaoo/adt/skills".into()],
        };
        assert_eq!(config.skills.dirs, skills, "{name}");
        let feishu = config.channels.into_iter().next().unwrap();
        assert_eq!(feishu.transport, transport, "{name}");
        assert_eq!(feishu.app_id, "cli_xxxxxxxxxxxxx", "{name}");
        assert_eq!(feishu.app_secret.expose_secret(), "planted-app-secret");
        assert_eq!(feishu.base_url, "https://open.feishu.cn", "{name}");
    }
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let (config, warnings) = load(LEAST);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.llm.main.api_base, "https://openrouter.ai/api/v1");
    assert_eq!(config.llm.timeout, Duration::from_secs(120));
    assert_eq!(config.agents[0], AgentConfig::plain("main"));
    assert_eq!(config.limits.max_concurrent_turns, 8);
    assert_eq!(config.limits.turn_timeout, Duration::from_secs(600));
    assert_eq!(config.limits.max_queue_per_conversation, 100);
    assert_eq!(config.limits.ack_deadline, Duration::from_millis(1500));
    assert!(config.http.metrics && config.http.dashboard);
    assert!(config.http.bearer_token.is_none());
    let feishu = config.channels.into_iter().next().unwrap();
    assert_eq!(feishu.base_url, "https://open.feishu.cn");
    assert_eq!(feishu.instance, "feishu");
    assert_eq!(feishu.reaction.as_deref(), Some("Get"));
    assert_eq!(feishu.progress, ProgressStyle::Card);
    assert!(feishu.access.require_mention && !feishu.access.respond_to_all);
    assert_eq!(feishu.access.group_policy, Access::Open);
    assert!(!feishu.host_policy().allows("ws://127.0.0.1:9/ws"));
}

#[test]
fn every_key_arrives() {
    let (config, warnings) = load(
        r#"
[llm]
provider = "my-gateway"
api_base = "http://10.0.0.7:8000/v1/"
model = "big"
max_tokens = 4_096
timeout_secs = 30
context_window = 0x20000
extra_body = { temperature = 0.5, stop = ["x"], thinking = { type = "enabled" } }
[[llm.fallbacks]]
model = "beside"
vision = true
[[llm.fallbacks]]
provider = "ollama"
model = "near"
context_window = 4096

[channels.feishu]
transport = "webhook"
app_id = "cli_a1b2c3d4e5f60001"
app_secret_env = "FEISHU_APP_SECRET"
encrypt_key_env = "FEISHU_ENCRYPT_KEY"
base_url = "http://127.0.0.1:9000/"
channel_instance_id = "desk-2"
reaction = "off"
progress = "off"
require_mention = false
respond_to_all = true
dm_policy = "allowlist"
group_policy = "disabled"
allow_users = ["ou_1"]
allow_chats = ["oc_1"]
admins = ["ou_2"]
allow_bots = true
bot_turns_max = 2
agent = "a"
max_concurrent_turns = 3
ca_file = "ca.pem"
allowed_ws_hosts = [".gateway.example.com"]

[channels.feishu.chats."oc_2"]
enabled = true
require_mention = false

[agents]
default_agent_id = "b"
[[agents.list]]
id = "a"
[[agents.list]]
id = "b"
workspace = "~/work"
agent_dir = "../data"
model = "small"
system_prompt = "Be kind."
tools = ["web_fetch"]
skills = ["weekly"]
chats = ["oc_9"]
people = ["ou_9"]

[tools]
enable = ["shell"]
ask_first = ["mcp__*"]
approval_timeout_secs = 30
[tools.shell]
timeout_secs = 5
network = true
memory_mb = 64
processes_max = 8
[tools.web_fetch]
allow_private_hosts = ["wiki.corp.example"]
[tools.mcp.notes]
command = "notes-server"
args = ["--stdio"]
env = ["OPENROUTER_API_KEY"]
tools = ["find"]
ask_first = false
timeout_secs = 7
[tools.mcp.far]
url = "https://mcp.example.com/mcp/"
bearer_token_env = "HTTP_TOKEN"

[store]
url = "sqlite:data/x.db"

[limits]
max_concurrent_turns = 2
turn_timeout_secs = 60
max_steps = 5
max_queue_per_conversation = 10
max_queue = 20
message_age_max_secs = 7200
late_messages = "ignore"
ack_deadline_ms = 1000
shutdown_grace_secs = 0
person_turns_per_day = 3
chat_tokens_per_day = 1_000
file_mb = 2
conversation_mb = 8

[http]
bearer_token_env = "HTTP_TOKEN"
metrics = false
dashboard = false
"#,
    );
    assert_eq!(
        warnings,
        [
            "/etc/xiaoo/config.toml:3: llm.provider: \"my-gateway\" is not known by name; spoken to as \"compatible\"",
            "/etc/xiaoo/config.toml:22: channels.feishu.encrypt_key_env: the value of FEISHU_ENCRYPT_KEY has blanks around it; left out",
        ]
    );
    let model = config
        .llm
        .model_configs(config.agents[0].model.as_deref())
        .remove(0);
    assert_eq!(model.provider, Provider::Compatible);
    assert_eq!(model.api_base, "http://10.0.0.7:8000/v1");
    assert_eq!(model.model, "small");
    assert_eq!(model.max_tokens, Some(4096));
    assert_eq!(model.timeouts.idle, Duration::from_secs(30));
    assert_eq!(config.llm.main.context_window, Some(131_072));
    assert_eq!(
        serde_json::Value::from(model.extra),
        serde_json::json!({"temperature": 0.5, "stop": ["x"], "thinking": {"type": "enabled"}})
    );
    assert_eq!(
        config.agents[0],
        AgentConfig {
            id: "b".to_owned(),
            workspace: Some("/home/me/work".into()),
            agent_dir: Some("/etc/xiaoo/../data".into()),
            model: Some("small".to_owned()),
            price: None,
            system_prompt: Some("Be kind.".to_owned()),
            tools: Some(vec!["web_fetch".to_owned()]),
            skills: Some(vec!["weekly".to_owned()]),
            chats: vec!["oc_9".to_owned()],
            people: vec!["ou_9".to_owned()],
        }
    );
    assert_eq!(config.agents[1].id, "a");
    let models = config.llm.model_configs(None);
    let servers: Vec<_> = models
        .iter()
        .map(|model| (model.model.as_str(), model.api_base.as_str()))
        .collect();
    assert_eq!(
        servers,
        [
            ("big", "http://10.0.0.7:8000/v1"),
            ("beside", "http://10.0.0.7:8000/v1"),
            ("near", "http://127.0.0.1:11434/v1"),
        ]
    );
    assert!(config.llm.fallbacks[0].vision);
    assert_eq!(config.llm.fallbacks[1].context_window, Some(4096));
    assert_eq!(config.tools.enable, ["shell"]);
    assert_eq!(config.tools.ask_first, ["mcp__*"]);
    assert_eq!(config.tools.approval_timeout, Duration::from_secs(30));
    assert_eq!(
        config.tools.shell,
        ShellConfig {
            timeout: Duration::from_secs(5),
            network: true,
            memory_bytes_max: 64 << 20,
            processes_max: 8,
            unsandboxed: false,
        }
    );
    assert_eq!(config.tools.private_hosts, ["wiki.corp.example"]);
    let [far, notes] = config.tools.mcp.as_slice() else {
        panic!("{:?}", config.tools.mcp);
    };
    let McpTransport::Program { command, args, env } = &notes.transport else {
        panic!("{notes:?}");
    };
    assert_eq!(
        (command.as_str(), args.as_slice()),
        ("notes-server", &["--stdio".to_owned()][..])
    );
    assert_eq!(env[0].0, "OPENROUTER_API_KEY");
    assert_eq!(env[0].1.expose_secret(), "planted-api-key");
    assert_eq!(notes.tools.as_deref(), Some(&["find".to_owned()][..]));
    assert!(!notes.ask_first && far.ask_first);
    assert_eq!(notes.timeout, Duration::from_secs(7));
    assert!(
        matches!(&far.transport, McpTransport::Http { url, bearer_token: Some(_) } if url == "https://mcp.example.com/mcp")
    );
    assert_eq!(config.store.url.to_string(), "sqlite:/etc/xiaoo/data/x.db");
    assert_eq!(config.limits.max_concurrent_turns, 2);
    assert_eq!(config.limits.turn_timeout, Duration::from_secs(60));
    assert_eq!(config.limits.max_steps, 5);
    assert_eq!(config.limits.max_queue_per_conversation, 10);
    assert_eq!(config.limits.max_queue, 20);
    assert_eq!(
        config.limits.message_age_max,
        Some(Duration::from_secs(7200))
    );
    assert!(!config.limits.late_notice);
    assert_eq!(config.limits.ack_deadline, Duration::from_secs(1));
    assert_eq!(config.limits.shutdown_grace, Duration::ZERO);
    assert_eq!(
        (config.limits.person_per_day, config.limits.chat_per_day),
        (
            BudgetConfig {
                turns: Some(3),
                tokens: None
            },
            BudgetConfig {
                turns: None,
                tokens: Some(1000)
            },
        )
    );
    assert_eq!(config.limits.file_bytes_max, 2 << 20);
    assert_eq!(config.limits.conversation_bytes_max, 8 << 20);
    assert!(!config.http.metrics && !config.http.dashboard);
    assert_eq!(
        config.http.bearer_token.unwrap().expose_secret(),
        "planted-http-token"
    );

    let feishu = config.channels.into_iter().next().unwrap();
    assert_eq!(
        feishu.encrypt_key.as_ref().unwrap().expose_secret(),
        "planted-encrypt-key"
    );
    assert_eq!(feishu.base_url, "http://127.0.0.1:9000");
    assert_eq!(feishu.instance, "desk-2");
    assert_eq!(feishu.reaction, None);
    assert_eq!(feishu.progress, ProgressStyle::Off);
    assert_eq!(
        feishu.ca_file.as_deref(),
        Some(Path::new("/etc/xiaoo/ca.pem"))
    );
    assert_eq!(feishu.access.dm_policy, DirectAccess::Allowlist);
    assert_eq!(feishu.access.group_policy, Access::Disabled);
    assert_eq!(feishu.access.allow_users, ["ou_1"]);
    assert_eq!(feishu.access.allow_chats, ["oc_1"]);
    assert_eq!(feishu.access.admins, ["ou_2"]);
    assert!(feishu.access.allow_bots);
    assert_eq!(feishu.access.bot_turns_max, 2);
    assert_eq!(feishu.agent.as_deref(), Some("a"));
    assert_eq!(feishu.max_concurrent_turns, Some(3));
    assert!(!feishu.access.require_mention && feishu.access.respond_to_all);
    assert_eq!(
        feishu.access.chats,
        [ChatConfig {
            chat_id: "oc_2".to_owned(),
            enabled: Some(true),
            require_mention: Some(false),
            respond_to_all: None,
        }]
    );
    let hosts = feishu.host_policy();
    assert!(hosts.allows("ws://127.0.0.1:9000/ws"));
    assert!(hosts.allows("wss://a.gateway.example.com/ws"));
    assert!(!hosts.allows("wss://a.example.com/ws"));
}

#[test]
fn prices_arrive_with_what_is_usual_and_each_name_has_one() {
    let price = |input, cached_input, output| Price {
        input,
        cached_input,
        output,
    };
    let (config, warnings) = load(&LEAST.replace(
        "[channels.feishu]",
        r#"input_price = 0.6
output_price = 2.2
currency = "CNY"
[[llm.fallbacks]]
model = "beside"
[[llm.fallbacks]]
model = "near"
input_price = 1
cached_input_price = 0.000001
output_price = 0.0
[[agents.list]]
id = "main"
[[agents.list]]
id = "a"
model = "near"
input_price = 1.0
cached_input_price = 0.000001
output_price = 0
[[agents.list]]
id = "b"
model = "own"
input_price = 3
output_price = 4
[channels.feishu]"#,
    ));
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(
        config.prices(),
        Prices {
            currency: "CNY".into(),
            models: vec![
                ("z-ai/glm-5".into(), price(600_000, 600_000, 2_200_000)),
                ("near".into(), price(1_000_000, 1, 0)),
                ("own".into(), price(3_000_000, 3_000_000, 4_000_000)),
            ],
        }
    );
    let (least, _) = load(LEAST);
    let none = Prices {
        currency: "USD".into(),
        models: Vec::new(),
    };
    assert_eq!(least.prices(), none);
}

#[test]
fn a_servers_password_comes_from_the_url_or_the_environment() {
    for (store, usual, means) in [
        ("url = \"postgres://u:in-url@h/db\"", None, Some("in-url")),
        (
            "url = \"postgres://u:in-url@h/db\"",
            Some("usual"),
            Some("in-url"),
        ),
        ("url = \"postgres://u@h/db\"", Some("usual"), Some("usual")),
        ("url = \"postgres://u@h/db\"", Some(""), None),
        ("url = \"postgres://u@h/db\"", None, None),
        (
            "url = \"postgres://u@h/db\"\npassword_env = \"KEY\"",
            Some("usual"),
            Some("sk-planted"),
        ),
    ] {
        let env = |name: &str| match name {
            "PGPASSWORD" => usual.map(str::to_owned),
            "KEY" => Some("sk-planted".to_owned()),
            _ => env(name),
        };
        let text = format!("{LEAST}\n[store]\n{store}\n");
        let path = Path::new("/etc/xiaoo/config.toml");
        let (config, _) = Config::parse(path, &text, &env).unwrap();
        let StoreUrl::Postgres(url) = config.store.url else {
            panic!("{store}");
        };
        let bare: StoreUrl = "postgres://u@h/db".parse().unwrap();
        let StoreUrl::Postgres(bare) = bare else {
            panic!("{store}");
        };
        let expected = match means {
            Some(password) => bare.with_password(password),
            None => bare,
        };
        assert!(url == expected, "{store} with {usual:?}");
        // None of it is ever shown.
        assert_eq!(url.to_string(), "postgres://h:5432/db");
        let shown = format!("{url:?}");
        assert!(
            !shown.contains("planted") && !shown.contains("usual"),
            "{shown}"
        );
    }
}

#[test]
fn a_channel_that_is_off_demands_nothing() {
    let (config, warnings) = load(
        "[llm]\nprovider = \"ollama\"\nmodel = \"qwen3\"\n[channels.feishu]\nenabled = false\n",
    );
    assert!(config.channels.is_empty());
    assert_eq!(
        warnings,
        [
            "/etc/xiaoo/config.toml:4: channels.feishu: no channel is enabled; nobody will be answered"
        ]
    );
}

#[test]
fn several_bots_load_with_the_section_itself_or_without_it() {
    let account = |id: &str, app: &str| {
        format!(
            "[[channels.feishu.accounts]]\nchannel_instance_id = \"{id}\"\ntransport = \"websocket\"\n\
             app_id = \"cli_a1b2c3d4e5f6000{app}\"\napp_secret_env = \"FEISHU_APP_SECRET\"\n"
        )
    };
    let instances = |text: &str| -> Vec<String> {
        let channels = load(text).0.channels;
        channels.into_iter().map(|bot| bot.instance).collect()
    };
    let two = account("desk", "2") + &account("ops", "3");
    assert_eq!(
        instances(&format!("{LEAST}{two}")),
        ["feishu", "desk", "ops"]
    );
    let model = LEAST.split("[channels").next().unwrap();
    assert_eq!(instances(&format!("{model}{two}")), ["desk", "ops"]);
    let off = two.replacen(
        "channel_instance_id",
        "enabled = false\nchannel_instance_id",
        1,
    );
    assert_eq!(instances(&format!("{model}{off}")), ["ops"]);
}

#[test]
fn the_store_of_each_bot_is_known_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let stores = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Config::stores(&file, &|_: &str| None)
    };
    let account = |id: &str| {
        format!("[[channels.feishu.accounts]]\nchannel_instance_id = \"{id}\"\napp_id = \"?\"\n")
    };
    let store = "[store]\nurl = \"sqlite:/s/xiaoo.db\"\n";
    let one = "[channels.feishu]\napp_id = \"?\"\n";
    let all = [account("desk"), account("ops")].concat();
    for (text, expected) in [
        (store.to_owned(), &[("feishu", "xiaoo.db")][..]),
        (format!("{store}{one}"), &[("feishu", "xiaoo.db")]),
        (
            format!("{store}{one}{all}"),
            &[
                ("feishu", "xiaoo.db"),
                ("desk", "xiaoo-desk.db"),
                ("ops", "xiaoo-ops.db"),
            ],
        ),
        (
            format!("{store}{all}"),
            &[("desk", "xiaoo.db"), ("ops", "xiaoo-ops.db")],
        ),
    ] {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, file)| ((*name).to_owned(), StoreUrl::sqlite(format!("/s/{file}"))))
            .collect();
        assert_eq!(stores(&text).unwrap(), expected, "{text}");
    }
    let wrong = format!("{store}{}", account("a b"));
    let told = stores(&wrong).unwrap_err().to_string();
    assert!(told.contains("channel_instance_id"), "{told}");
}

#[test]
fn parts_that_this_program_does_not_have_are_warnings() {
    let text = format!(
        "{LEAST}\n[trace]\nstorage_backend = \"noop\"\n[hooker]\n[skills]\nallow_scripts = true\n"
    );
    let (_, warnings) = load(&text);
    assert_eq!(
        warnings,
        [
            "/etc/xiaoo/config.toml:12: trace: ignored: this program has no such part",
            "/etc/xiaoo/config.toml:14: hooker: ignored: this program has no such part",
            "/etc/xiaoo/config.toml:16: skills.allow_scripts: ignored: this program has no such part",
        ]
    );
}

#[test]
fn what_has_no_effect_yet_says_so() {
    let text = LEAST.replace(
        "[channels.feishu]",
        "[channels.feishu]\nprogress = \"stream\"",
    );
    let text = format!("{text}\n[telemetry]\n");
    let (_, warnings) = load(&text);
    assert_eq!(
        warnings,
        [
            "/etc/xiaoo/config.toml:8: channels.feishu.progress: the growing answer is not shown yet; a card is",
            "/etc/xiaoo/config.toml:13: telemetry: ignored: this program has no such part",
        ]
    );
}

#[test]
fn a_file_from_windows_loads() {
    let text = format!("\u{feff}{}", LEAST.replace('\n', "\r\n"));
    assert!(!load(&text).0.channels.is_empty());
}

#[test]
fn secrets_do_not_show() {
    let token = "verification_token = \"planted-token\"";
    let (config, _) =
        load(&LEAST.replace("[channels.feishu]", &format!("[channels.feishu]\n{token}")));
    assert!(config.channels[0].verification_token.is_some());
    let shown = format!("{config:?}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn the_reference_is_up_to_date_and_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/reference.toml");
    let generated = xiaoo_app::config::reference::reference();
    if std::env::var_os("XIAOO_UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "deploy/examples/reference.toml is out of date: run this test with XIAOO_UPDATE_REFERENCE=1"
    );
    let uncommented: String = generated
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(code) if !code.starts_with(' ') => format!("{code}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let everything = |name: &str| match name {
        "HOME" => Some("/home/me".to_owned()),
        _ => Some("a value".to_owned()),
    };
    let loaded = Config::parse(Path::new("reference.toml"), &uncommented, &everything);
    assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
}
