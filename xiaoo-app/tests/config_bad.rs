//! What is wrong is said at once, with its place and its fix.

use std::path::Path;

use xiaoo_app::config::Config;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "FEISHU_APP_SECRET" => "planted-app-secret",
        "OPENROUTER_API_KEY" => "planted-api-key",
        "BLANK" => " ",
        "HOME" => "/home/me",
        _ => return None,
    };
    Some(value.to_owned())
}

fn complaints(text: &str) -> Vec<String> {
    match Config::parse(Path::new("config.toml"), text, &env) {
        Ok(_) => Vec::new(),
        Err(why) => why.problems.iter().map(ToString::to_string).collect(),
    }
}

/// Line 1 is `[llm]`, line 6 is `[channels.feishu]`, line 12 `[agents]`.
const GOOD: &str = r#"[llm]
provider = "openrouter"
api_base = "https://openrouter.ai/api/v1"
model = "z-ai/glm-5"
api_key_env = "OPENROUTER_API_KEY"
[channels.feishu]
transport = "webhook"
app_id = "cli_a1b2c3d4e5f60001"
app_secret_env = "FEISHU_APP_SECRET"
verification_token = "vt_1"
base_url = "https://open.feishu.cn"
[agents]
default_agent_id = "main"
[[agents.list]]
id = "main"
default = true
"#;

#[test]
fn each_mistake_is_named_with_its_place() {
    assert_eq!(complaints(GOOD), Vec::<String>::new());
    for (written, instead, complaint) in [
        // Typos, at every depth.
        (
            "[agents]",
            "[agens]",
            "config.toml:12: agens: unknown key; did you mean `agents`?",
        ),
        (
            "api_base",
            "apibase",
            "config.toml:3: llm.apibase: unknown key; did you mean `api_base`?",
        ),
        (
            "app_secret_env",
            "app_secrt_env",
            "config.toml:9: channels.feishu.app_secrt_env: unknown key; did you mean `app_secret_env`?",
        ),
        (
            "app_secret_env",
            "app_secret",
            "config.toml:9: channels.feishu.app_secret: unknown key; did you mean `app_secret_env`?",
        ),
        (
            "[channels.feishu]",
            "[channels.feshu]",
            "config.toml:6: channels.feshu: unknown key; did you mean `feishu`?",
        ),
        (
            "default = true",
            "defualt = true",
            "config.toml:16: agents.list[0].defualt: unknown key; did you mean `default`?",
        ),
        (
            "base_url =",
            "max_tokens = 1\nbase_url =",
            "config.toml:11: channels.feishu.max_tokens: unknown key here; it belongs to `[llm]`",
        ),
        (
            "base_url =",
            "zzz = 1\nbase_url =",
            "config.toml:11: channels.feishu.zzz: unknown key",
        ),
        // Missing keys.
        (
            "model = \"z-ai/glm-5\"\n",
            "",
            "config.toml:1: llm.model: missing; for example `model = \"z-ai/glm-5\"`",
        ),
        (
            "app_id = \"cli_a1b2c3d4e5f60001\"\n",
            "",
            "config.toml:6: channels.feishu.app_id: missing; for example `app_id = \"cli_a1b2c3d4e5f60001\"`",
        ),
        (
            "app_secret_env = \"FEISHU_APP_SECRET\"\n",
            "",
            "config.toml:6: channels.feishu.app_secret_env: missing; for example `app_secret_env = \"FEISHU_APP_SECRET\"`",
        ),
        (
            "api_key_env = \"OPENROUTER_API_KEY\"\n",
            "",
            "config.toml:1: llm.api_key_env: missing; openrouter wants a key: name the environment variable that holds it",
        ),
        (
            "[[agents.list]]\nid = \"main\"",
            "[[agents.list]]",
            "config.toml:14: agents.list[0].id: missing; for example `id = \"main\"`",
        ),
        (
            "verification_token = \"vt_1\"\n",
            "",
            "config.toml:6: channels.feishu.verification_token: missing; without it (or `encrypt_key_env`) anyone who finds the URL can speak as anyone: copy the Verification Token from the app's event page",
        ),
        // Variables.
        (
            "\"FEISHU_APP_SECRET\"",
            "\"MISSING\"",
            "config.toml:9: channels.feishu.app_secret_env: the environment variable MISSING is not set",
        ),
        (
            "\"OPENROUTER_API_KEY\"",
            "\"MISSING\"",
            "config.toml:5: llm.api_key_env: the environment variable MISSING is not set",
        ),
        (
            "\"FEISHU_APP_SECRET\"",
            "\"BLANK\"",
            "config.toml:9: channels.feishu.app_secret_env: the environment variable BLANK is empty",
        ),
        (
            "\"FEISHU_APP_SECRET\"",
            "\"dskLLdkasdjlasdKK\"",
            "config.toml:9: channels.feishu.app_secret_env: the environment variable dskLLdkasdjlasdKK is not set",
        ),
        (
            "\"FEISHU_APP_SECRET\"",
            "\"Ab3dEf6hIj9lMn2pQr5t\"",
            "config.toml:9: channels.feishu.app_secret_env: must be the name of an environment variable, such as FEISHU_APP_SECRET, not the secret itself",
        ),
        (
            "\"OPENROUTER_API_KEY\"",
            "\"sk-or-v1-abc\"",
            "config.toml:5: llm.api_key_env: must be the name of an environment variable, such as FEISHU_APP_SECRET, not the secret itself",
        ),
        // Types.
        (
            "transport = \"webhook\"",
            "transport = 1",
            "config.toml:7: channels.feishu.transport: must be one word in quotes, is a whole number",
        ),
        (
            "transport = \"webhook\"",
            "enabled = \"true\"",
            "config.toml:7: channels.feishu.enabled: must be true or false, without quotes, is a text",
        ),
        (
            "model = \"z-ai/glm-5\"",
            "model = \"m\"\nmax_tokens = \"8192\"",
            "config.toml:5: llm.max_tokens: must be a whole number, without quotes, is a text",
        ),
        (
            "model = \"z-ai/glm-5\"",
            "model = \"m\"\nmax_tokens = 0",
            "config.toml:5: llm.max_tokens: must be between 1 and 10000000",
        ),
        (
            "model = \"z-ai/glm-5\"",
            "model = \"m\"\nmax_tokens = -1",
            "config.toml:5: llm.max_tokens: must be between 1 and 10000000",
        ),
        (
            "[agents]",
            "allow_users = \"ou_1\"\n[agents]",
            "config.toml:12: channels.feishu.allow_users: must be a list of texts, [\"like\", \"this\"], is a text",
        ),
        (
            "[agents]",
            "allow_users = [\"ou_1\", 2]\n[agents]",
            "config.toml:12: channels.feishu.allow_users[1]: must be a text in quotes, is a whole number",
        ),
        (
            "[[agents.list]]",
            "[agents.list]",
            "config.toml:14: agents.list: must be a list of sections, [[like.this]], is a section",
        ),
        // Values.
        (
            "\"webhook\"",
            "\"webhok\"",
            "config.toml:7: channels.feishu.transport: \"webhok\" is none of \"webhook\", \"websocket\"; did you mean \"webhook\"?",
        ),
        (
            "\"cli_a1b2c3d4e5f60001\"",
            "\"a1b2c3d4e5f60001\"",
            "config.toml:8: channels.feishu.app_id: an App ID begins with `cli_`; copy it from the app's credentials page",
        ),
        (
            "\"cli_a1b2c3d4e5f60001\"",
            "\"cli_\"",
            "config.toml:8: channels.feishu.app_id: an App ID is `cli_` and letters and digits",
        ),
        (
            "\"https://open.feishu.cn\"",
            "\"open.feishu.cn\"",
            "config.toml:11: channels.feishu.base_url: must be a URL such as https://host/path, without user, query or `#`",
        ),
        (
            "\"https://open.feishu.cn\"",
            "\"http://open.feishu.cn\"",
            "config.toml:11: channels.feishu.base_url: the App Secret would travel unencrypted; use https",
        ),
        (
            "\"https://open.feishu.cn\"",
            "\"https://open.feishu.cn/open-apis\"",
            "config.toml:11: channels.feishu.base_url: leave `/open-apis` out",
        ),
        (
            "\"vt_1\"",
            "\" \"",
            "config.toml:10: channels.feishu.verification_token: must not be empty",
        ),
        (
            "[agents]",
            "allow_users = [\"oc_1\"]\n[agents]",
            "config.toml:12: channels.feishu.allow_users[0]: \"oc_1\": an open id begins with `ou_`",
        ),
        (
            "[agents]",
            "[channels.feishu.chats.\"ou_1\"]\n[agents]",
            "config.toml:12: channels.feishu.chats.ou_1: \"ou_1\": a chat id begins with `oc_`",
        ),
        (
            "[agents]",
            "[channels.feishu.chats.\"oc_1\"]\nenable = true\n[agents]",
            "config.toml:13: channels.feishu.chats.oc_1.enable: unknown key; did you mean `enabled`?",
        ),
        (
            "[agents]",
            "allowed_ws_hosts = [\"wss://x.example\"]\n[agents]",
            "config.toml:12: channels.feishu.allowed_ws_hosts[0]: \"wss://x.example\" is no host name; leave scheme and port out",
        ),
        (
            "[agents]",
            "allowed_ws_hosts = [\"a.example\", \"b.example\"]\n[agents]",
            "config.toml:6: channels.feishu.allowed_ws_hosts: one host, or one suffix with a leading dot, which covers many",
        ),
        (
            "[agents]",
            "reaction = \"👍\"\n[agents]",
            "config.toml:12: channels.feishu.reaction: one of Feishu's emoji names, such as `Get`, `OK` or `THUMBSUP`, or `off`",
        ),
        (
            "[agents]",
            "channel_instance_id = \"a:b\"\n[agents]",
            "config.toml:12: channels.feishu.channel_instance_id: letters, digits, `_`, `-` and `.`, at most 64",
        ),
        (
            "[agents]",
            "[store]\nurl = \"mysql://x\"\n[agents]",
            "config.toml:13: store.url: unknown kind of store: write sqlite:PATH, or postgres://USER@HOST:PORT/DATABASE",
        ),
        (
            "[agents]",
            "[store]\nurl = \"postgres://u:planted@h\"\n[agents]",
            "config.toml:13: store.url: the host or the database is missing: write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        (
            "[agents]",
            "[store]\nurl = \"postgres://u:planted@h/db\"\npassword_env = \"PASSWORD\"\n[agents]",
            "config.toml:14: store.password_env: the url holds a password already: take one away",
        ),
        (
            "[agents]",
            "[store]\nurl = \"postgres://u@h/db\"\npassword_env = \"UNSET\"\n[agents]",
            "config.toml:14: store.password_env: the environment variable UNSET is not set",
        ),
        (
            "[agents]",
            "[store]\npassword_env = \"PASSWORD\"\n[agents]",
            "config.toml:13: store.password_env: only a server wants a password: a url that begins with postgres://",
        ),
        (
            "[agents]",
            "[limits]\nack_deadline_ms = 3000\n[agents]",
            "config.toml:13: limits.ack_deadline_ms: must be between 50 and 2500",
        ),
        // Prices.
        (
            "[channels.feishu]",
            "input_price = 0.6\n[channels.feishu]",
            "config.toml:1: llm.output_price: missing; `input_price` alone says not what the model costs",
        ),
        (
            "[channels.feishu]",
            "cached_input_price = 0.6\n[channels.feishu]",
            "config.toml:1: llm.input_price: missing; `cached_input_price` alone says not what the model costs",
        ),
        (
            "[channels.feishu]",
            "input_price = 0.0000001\noutput_price = 1\n[channels.feishu]",
            "config.toml:6: llm.input_price: must be a price from 0 to 1000000000, with at most 6 decimals",
        ),
        (
            "[channels.feishu]",
            "input_price = -1\noutput_price = 1\n[channels.feishu]",
            "config.toml:6: llm.input_price: must be a price from 0 to 1000000000, with at most 6 decimals",
        ),
        (
            "[channels.feishu]",
            "input_price = \"1\"\noutput_price = 1\n[channels.feishu]",
            "config.toml:6: llm.input_price: must be a number, without quotes, is a text",
        ),
        (
            "[channels.feishu]",
            "currency = \"US dollars\"\n[channels.feishu]",
            "config.toml:6: llm.currency: one word of at most 16 bytes, such as CNY",
        ),
        (
            "default = true",
            "input_price = 1",
            "config.toml:16: agents.list[0].input_price: is that of `model`, and there is none; what [llm]'s costs stands there",
        ),
        (
            "[channels.feishu]",
            "input_price = 1\noutput_price = 1\n[[llm.fallbacks]]\nmodel = \"z-ai/glm-5\"\ninput_price = 2\noutput_price = 1\n[channels.feishu]",
            "config.toml:10: llm.fallbacks[0].input_price: \"z-ai/glm-5\" has another price above; models of one name are counted together",
        ),
        // Agents.
        (
            "default_agent_id = \"main\"",
            "default_agent_id = \"mian\"",
            "config.toml:13: agents.default_agent_id: no agent has the id \"mian\"; did you mean \"main\"?",
        ),
        (
            "default_agent_id = \"main\"",
            "default_agent_id = \"other\"",
            "config.toml:13: agents.default_agent_id: no agent has the id \"other\"; there are: main",
        ),
        (
            "default = true",
            "[[agents.list]]\nid = \"main\"",
            "config.toml:17: agents.list[1].id: \"main\" is the id of `agents.list[0].id` already",
        ),
    ] {
        assert_eq!(GOOD.matches(written).count().min(1), 1, "{written}");
        let text = GOOD.replacen(written, instead, 1);
        let complaints = complaints(&text);
        assert!(
            complaints.iter().any(|one| one == complaint),
            "{instead:?}: {complaints:#?}"
        );
    }
}

#[test]
fn a_misspelt_key_is_not_missing_too() {
    for (written, misspelt) in [
        ("[llm]", "[lm]"),
        ("app_secret_env", "app_secrt_env"),
        ("verification_token", "verification_tokn"),
        ("api_key_env", "api_key"),
        ("\"webhook\"", "\"web\""),
    ] {
        let complaints = complaints(&GOOD.replacen(written, misspelt, 1));
        assert_eq!(complaints.len(), 1, "{misspelt}: {complaints:#?}");
    }
}

#[test]
fn providers_are_checked_by_name() {
    let unknown = GOOD
        .replace("\"openrouter\"", "\"openruter\"")
        .replace("api_base = \"https://openrouter.ai/api/v1\"\n", "");
    assert_eq!(
        complaints(&unknown),
        ["config.toml:2: llm.provider: \"openruter\" is not known; did you mean \"openrouter\"?"]
    );
    let nowhere = GOOD
        .replace("\"openrouter\"", "\"vllm\"")
        .replace("api_base = \"https://openrouter.ai/api/v1\"\n", "");
    assert_eq!(
        complaints(&nowhere),
        ["config.toml:1: llm.api_base: missing; only you know where vllm answers"]
    );
}

#[test]
fn all_mistakes_are_said_at_once_in_the_order_of_the_file() {
    let text = r#"[llm]
provider = "openruter"
model = 5
api_key_env = "MISSING"

[channels.feishu]
transport = "websockt"
app_id = "a1b2"
app_secrt_env = "FEISHU_APP_SECRET"

[limits]
max_concurrent_turns = 0
"#;
    assert_eq!(
        complaints(text),
        [
            "config.toml:2: llm.provider: \"openruter\" is not known; did you mean \"openrouter\"?",
            "config.toml:3: llm.model: must be a text in quotes, is a whole number",
            "config.toml:4: llm.api_key_env: the environment variable MISSING is not set",
            "config.toml:7: channels.feishu.transport: \"websockt\" is none of \"webhook\", \"websocket\"; did you mean \"websocket\"?",
            "config.toml:8: channels.feishu.app_id: an App ID begins with `cli_`; copy it from the app's credentials page",
            "config.toml:9: channels.feishu.app_secrt_env: unknown key; did you mean `app_secret_env`?",
            "config.toml:12: limits.max_concurrent_turns: must be between 1 and 1024",
        ]
    );
}

#[test]
fn an_empty_file_lacks_a_model() {
    assert_eq!(
        complaints(""),
        ["config.toml: llm: missing; the section is required"]
    );
}

#[test]
fn what_is_not_toml_is_shown_with_its_place() {
    assert_eq!(
        complaints("[llm]\nprovider = openrouter\n"),
        [
            "config.toml:2:12: not TOML: string values must be quoted, expected literal string\n  \
          2 | provider = openrouter\n    |            ^^^^^^^^^^"
        ]
    );
    assert_eq!(
        complaints("[llm]\nmodel = \"模型\" 名\n"),
        [
            "config.toml:2:14: not TOML: unexpected key or value, expected newline, `#`\n  \
          2 | model = \"模型\" 名\n    |              ^"
        ]
    );
    let again = complaints("[llm]\nmodel = \"a\"\nmodel = \"b\"\n");
    assert!(
        again[0].starts_with("config.toml:3:1: not TOML: duplicate key"),
        "{again:?}"
    );
}

#[test]
fn complaints_show_no_secret() {
    for text in [
        "verification_token = planted",
        "api_key = \"planted\n",
        "[channels.feishu]\napp_secret = \"planted\"",
        "[channels.feishu]\napp_secret_env = \"planted-1\"",
        "[store]\nurl = \"postgres://u:planted@h/db\"",
        "[llm]\napi_base = \"https://u:planted@h/v1?k=1\"\nprovider = \"vllm\"\nmodel = \"m\"",
    ] {
        let complaints = complaints(text);
        assert!(!complaints.is_empty());
        let shown = complaints.join("\n");
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[test]
fn a_file_that_is_not_there_says_where_to_begin() {
    let why = Config::load(Path::new("/nonexistent/config.toml"), &env).unwrap_err();
    let shown = why.to_string();
    assert!(
        shown.starts_with("/nonexistent/config.toml: can't be read: "),
        "{shown}"
    );
    assert!(shown.contains("--config or XIAOO_CONFIG"), "{shown}");
}
