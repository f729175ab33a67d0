//! With a person at the terminal.

use feishu_sim::UserMessage;

use crate::daemon::{Daemon, PATIENCE};
use crate::terminal::Terminal;
use crate::{KEY, Place, SECRET, mode};

const INTERRUPT: &[u8] = b"\x03";

/// At the question for the App Secret.
fn at_the_secret(place: &Place, config: &str) -> Terminal {
    let mut terminal = Terminal::run(
        place.folder.path(),
        &[
            "init",
            "--config",
            config,
            "--base-url",
            &place.sim.base_url(),
        ],
    );
    terminal.until("App ID: ").types(&place.sim.config().app_id);
    terminal.until("App Secret (not shown): ");
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_is_led_through_wrong_answers_to_a_daemon_that_answers() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let app_id = place.sim.config().app_id.clone();
    let mut terminal = Terminal::run(
        place.folder.path(),
        &[
            "init",
            "--config",
            config.to_str().unwrap(),
            "--base-url",
            &place.sim.base_url(),
        ],
    );
    // The shape of an id is seen at once, a wrong secret by trying it.
    terminal.until("App ID: ").types("my bot");
    terminal
        .until("An App ID is cli_")
        .until("App ID: ")
        .types(&app_id);
    terminal
        .until("App Secret (not shown): ")
        .types("planted-and-wrong");
    terminal
        .until("Feishu refuses these")
        .until(&format!("App ID [{app_id}]: "))
        .types("");
    terminal
        .until("App Secret (not shown) [as it is]: ")
        .types(SECRET);
    terminal
        .until("knows it: the bot")
        .until("[websocket]: ")
        .types("");

    terminal.until("Provider: ").types("clever");
    terminal
        .until("Known are compatible")
        .until("Provider: ")
        .types("compatible");
    terminal.until("version part: ").types("example.com");
    terminal
        .until("It begins with https://")
        .until("version part: ");
    terminal.types(&place.model.base_url());
    terminal.until("name there: ").types("scripted");
    terminal.until("Does it want a key? [no]: ").types("maybe");
    terminal.until("yes or no").until("[no]: ").types("");
    terminal
        .until("That does not work: ")
        .until("Provider [compatible]: ")
        .types("");
    terminal
        .until("]: ")
        .types("")
        .until("name there [scripted]: ")
        .types("");
    terminal.until("Does it want a key? [no]: ").types("yes");
    // A key with a slip that was taken back.
    let slip = format!("{KEY}?\x7f");
    terminal.until("Its key (not shown): ").types(&slip);
    terminal.until("It answers.");

    let workspace = place.path("work");
    let usual = place.folder.path().join("xiaoo");
    terminal
        .until(&format!("works in [{}]: ", usual.display()))
        .types("work");
    terminal
        .until("the whole path")
        .until("]: ")
        .types(workspace.to_str().unwrap());
    terminal
        .until("config.toml (new)")
        .until("xiaoo.env (new, readable by its owner alone)");
    terminal.until("Write this? [yes]: ");
    assert!(
        place.is_empty(),
        "something was written before it was agreed to"
    );
    terminal.types("");
    let files = format!(
        "--config {} --env-file {}",
        config.display(),
        place.path("xiaoo.env").display()
    );
    for words in [
        &format!("/app/{app_id}/bot"),
        "im:message.p2p_msg:readonly",
        "im:message.reactions:write_only",
        "xiaoo-app daemon --config",
        "persistent connection",
        "im.message.receive_v1",
        "Publish a version",
        &format!("xiaoo-app doctor {files}"),
        "The console on your phone",
        "\u{2588}",
    ] {
        terminal.until(words);
    }
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());

    let written = place.read("config.toml");
    for secret in [SECRET, KEY, "planted-and-wrong"] {
        assert!(!terminal.shown().contains(secret), "{secret} was shown");
        assert!(!written.contains(secret), "{secret} is in config.toml");
    }
    assert_eq!(mode(&place.path("xiaoo.env")), 0o600);
    let env = place.read("xiaoo.env");
    assert!(
        env.contains(&format!("FEISHU_APP_SECRET={SECRET}\n")),
        "{env}"
    );
    assert!(env.contains(&format!("MODEL_API_KEY={KEY}\n")), "{env}");
    assert!(
        written.contains("# The model that answers, and where.\n[llm]"),
        "{written}"
    );
    assert!(workspace.is_dir());

    let mut daemon = Daemon::new(config, place.path("daemon.log"), "");
    let secrets = env.lines().filter(|line| !line.starts_with('#'));
    daemon.wrapper = ["env"]
        .into_iter()
        .chain(secrets)
        .map(str::to_owned)
        .collect();
    daemon.start().await;
    let asked = place.sim.user_says(UserMessage::text("hello")).unwrap();
    let answered = place
        .sim
        .until(PATIENCE, |sim| {
            let chat = sim.messages(sim.p2p_chat_id());
            let mut answers = chat.into_iter().filter(|message| {
                message.parent_id.as_deref() == Some(&asked.message_id) && message.card.is_none()
            });
            answers.next()
        })
        .await;
    assert!(answered.is_some(), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn run_again_it_changes_one_thing_and_asks_before_it_does() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let path = config.to_str().unwrap();
    let text = format!(
        "# my own words\n[llm]\nprovider = \"compatible\"  # and mine\napi_base = \"{}\"\n\
         model = \"scripted\"\napi_key_env = \"K\"\n[channels.feishu]\nenabled = true\n\
         transport = \"websocket\"\napp_id = \"{}\"\napp_secret_env = \"S\"\nbase_url = \"{}\"\n\
         [agents]\ndefault_agent_id = \"main\"\n[[agents.list]]\nid = \"main\"\ndefault = true\n\
         workspace = \"{home}\"\nagent_dir = \"{home}\"\n[limits]\nmax_concurrent_turns = 3\n",
        place.model.base_url(),
        place.sim.config().app_id,
        place.sim.base_url(),
        home = place.folder.path().display(),
    );
    std::fs::write(&config, &text).unwrap();
    std::fs::write(
        place.path("xiaoo.env"),
        format!("# mine\nS={SECRET}\nK={KEY}\nOTHER=1\n"),
    )
    .unwrap();
    let all_kept = |model: &str, consent: &str| {
        let mut terminal = Terminal::run(place.folder.path(), &["init", "--config", path]);
        terminal.until("App ID [").types("");
        terminal
            .until("App Secret (not shown) [as it is]: ")
            .types("");
        terminal
            .until("[websocket]: ")
            .types("")
            .until("Provider [compatible]: ")
            .types("");
        terminal
            .until("version part [")
            .types("")
            .until("there [scripted]: ")
            .types(model);
        terminal
            .until("Its key (not shown; - for none) [as it is]: ")
            .types("");
        terminal.until("It answers.").until("works in [").types("");
        if !consent.is_empty() {
            terminal.until("  - model = \"scripted\"");
            terminal.until("  + model = \"another\"");
            terminal.until("Write this? [no]: ").types(consent);
        }
        assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
        terminal.shown()
    };
    assert!(all_kept("", "").contains("All of it is written already."));
    // Enter is no.
    assert!(all_kept("another", "\n").contains("Nothing was written."));
    assert_eq!(place.read("config.toml"), text);
    all_kept("another", "yes");
    let expected = text.replace("\"scripted\"", "\"another\"");
    assert_eq!(place.read("config.toml"), expected);
    assert_eq!(
        place.read("xiaoo.env"),
        format!("# mine\nS={SECRET}\nK={KEY}\nOTHER=1\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_in_the_middle_has_written_nothing() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    for (keys, said) in [
        (INTERRUPT, "stopped; nothing was written"),
        (b"\x04", "no answer came"),
    ] {
        let mut terminal = at_the_secret(&place, config.to_str().unwrap());
        terminal.presses(keys).until(said);
        assert_eq!(terminal.ended(), Some(1));
        assert!(place.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_is_kept_only_if_somebody_says_so() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    place
        .sim
        .faults()
        .add(feishu_sim::FaultKind::ApiStatus { status: 503 });
    let mut terminal = at_the_secret(&place, config.to_str().unwrap());
    terminal
        .types(SECRET)
        .until("That could not be tried")
        .until("untested? [no]: ")
        .types("");
    // The answers are asked for again.
    terminal
        .until("App ID [")
        .types("")
        .until("[as it is]: ")
        .types("");
    terminal
        .until("untested? [no]: ")
        .types("y")
        .until("[websocket]: ");
    terminal
        .types("webhook")
        .until("Verification Token (not shown): ")
        .types("");
    terminal
        .until("It cannot be empty.")
        .until("Verification Token (not shown): ")
        .types("planted-token");
    terminal.until("an Encrypt Key? [no]: ").types("yes");
    terminal
        .until("Encrypt Key (not shown): ")
        .types("planted-encrypt-key");
    terminal
        .until("Provider: ")
        .types("ollama")
        .until("[http://127.0.0.1:11434/v1]: ");
    terminal
        .types(&place.model.base_url())
        .until("name there: ")
        .types("scripted");
    terminal
        .until("a key? [no]: ")
        .types("y")
        .until("Its key (not shown): ")
        .types(KEY);
    terminal
        .until("It answers.")
        .until("works in [")
        .types("")
        .until("Write this? [yes]: ");
    terminal
        .types("")
        .until("by webhook")
        .until("/api/v1/channels/xiaoo/events");
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
    assert!(
        !terminal.shown().contains("planted-"),
        "{}",
        terminal.shown()
    );
    let written = place.read("config.toml");
    assert!(
        written.contains("encrypt_key_env = \"FEISHU_ENCRYPT_KEY\""),
        "{written}"
    );
    assert!(
        written.contains("verification_token = \"planted-token\""),
        "{written}"
    );
    assert!(
        place
            .read("xiaoo.env")
            .contains("FEISHU_ENCRYPT_KEY=planted-encrypt-key\n")
    );
}

/// A configuration that is complete, with these lines in `[channels.feishu]`.
fn complete(place: &Place, channel: &str) -> String {
    format!(
        "[llm]\nprovider = \"compatible\"\napi_base = \"{}\"\nmodel = \"scripted\"\n\
         api_key_env = \"K\"\n\n[channels.feishu]\n{channel}\n[agents]\n\
         [[agents.list]]\nid = \"main\"\nworkspace = \"{home}\"\nagent_dir = \"{home}\"\n",
        place.model.base_url(),
        home = place.folder.path().display(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_by_a_flag_is_not_asked_for_whatever_else_is_answered() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let mut terminal = Terminal::run(
        place.folder.path(),
        &[
            "init",
            "--config",
            config.to_str().unwrap(),
            "--base-url",
            &place.sim.base_url(),
            "--app-id",
            &place.sim.config().app_id,
            "--transport",
            "websocket",
            "--api-base",
            &place.model.base_url(),
            "--model",
            "scripted",
        ],
    );
    terminal.until("App Secret (not shown): ").types(SECRET);
    terminal.until("Provider: ").types("compatible");
    terminal.until("Does it want a key? [no]: ").types("y");
    terminal.until("Its key (not shown): ").types(KEY);
    terminal.until("It answers.").until("works in [").types("");
    terminal.until("Write this? [yes]: ").types("");
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
    for question in ["version part", "name there"] {
        assert!(!terminal.shown().contains(question), "{}", terminal.shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_known_are_not_shown_and_can_be_changed_and_taken_away() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let channel = |token: &str, key: &str| {
        format!(
            "transport = \"webhook\"\napp_id = \"{}\"\napp_secret_env = \"S\"\n\
             base_url = \"{}\"\nverification_token = \"{token}\"\n{key}",
            place.sim.config().app_id,
            place.sim.base_url(),
        )
    };
    let key = "encrypt_key_env = \"E\"\n";
    std::fs::write(&config, complete(&place, &channel("planted-token", key))).unwrap();
    let env = |key: &str| format!("S={SECRET}\nK={KEY}\nE={key}\n");
    std::fs::write(place.path("xiaoo.env"), env("planted-old-key")).unwrap();
    let answers = |token: &str, key: &str| {
        let path = config.to_str().unwrap();
        let mut terminal = Terminal::run(place.folder.path(), &["init", "--config", path]);
        terminal.until("App ID [").types("");
        terminal
            .until("App Secret (not shown) [as it is]: ")
            .types("");
        terminal.until("[webhook]: ").types("");
        terminal
            .until("Verification Token (not shown) [as it is]: ")
            .types(token);
        terminal
            .until("Encrypt Key (not shown; - for none) [as it is]: ")
            .types(key);
        for asked in ["Provider [", "version part [", "name there [", "Its key"] {
            terminal.until(asked).until("]: ").types("");
        }
        terminal.until("works in [").types("");
        terminal.until("Write this? [no]: ").types("yes");
        assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
        assert!(
            !terminal.shown().contains("planted-"),
            "{}",
            terminal.shown()
        );
        terminal.shown()
    };
    let shown = answers("planted-new-token", "planted-new-key");
    assert!(shown.contains("verification_token = \"…\""), "{shown}");
    assert_eq!(
        place.read("config.toml"),
        complete(&place, &channel("planted-new-token", key))
    );
    assert_eq!(place.read("xiaoo.env"), env("planted-new-key"));
    answers("planted-last-token", "-");
    assert_eq!(
        place.read("config.toml"),
        complete(&place, &channel("planted-last-token", ""))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_bots_it_asks_which_and_leaves_the_others_alone() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let first = "transport = 'websocket'\napp_id = 'cli_00000000000000f1' # ours\n\
                 app_secret_env = \"S\"\n";
    let text = complete(&place, first)
        + &format!(
            "\n# The help desk's.\n[[channels.feishu.accounts]]\n\
             channel_instance_id = \"desk\"  # its name\ntransport = \"webhook\"\n\
             app_id = 'cli_00000000000000f2' # the old one\napp_secret_env = \"DESK\"\n\
             verification_token = 't'\nbase_url = \"{}\"\n\n\
             [[channels.feishu.accounts]]\nchannel_instance_id = 'last'\n\
             enabled = false # for now\n# the end\n",
            place.sim.base_url(),
        );
    std::fs::write(&config, &text).unwrap();
    std::fs::write(
        place.path("xiaoo.env"),
        format!("S=planted-other\nDESK=planted-old\nK={KEY}\n"),
    )
    .unwrap();
    let path = config.to_str().unwrap();
    let mut terminal = Terminal::run(place.folder.path(), &["init", "--config", path]);
    terminal
        .until("Which bot is meant: feishu, desk, last [feishu]: ")
        .types("dask");
    terminal.until("there is no bot \"dask\"");
    terminal.until("[feishu]: ").types("desk");
    let app_id = place.sim.config().app_id.clone();
    terminal
        .until("App ID [cli_00000000000000f2]: ")
        .types(&app_id);
    terminal
        .until("App Secret (not shown) [as it is]: ")
        .types(SECRET);
    terminal.until("knows it: the bot").until("[webhook]: ");
    terminal.types("").until("Verification Token").types("");
    terminal
        .until("Does the app have an Encrypt Key? [no]: ")
        .types("");
    for asked in ["Provider [", "version part [", "name there [", "Its key"] {
        terminal.until(asked).until("]: ").types("");
    }
    terminal.until("works in [").types("");
    terminal.until("Write this? [no]: ").types("yes");
    terminal.until("/api/v1/channels/xiaoo-desk/events");
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
    let expected = text.replace("'cli_00000000000000f2'", &format!("\"{app_id}\""));
    assert_eq!(place.read("config.toml"), expected);
    assert_eq!(
        place.read("xiaoo.env"),
        format!("S=planted-other\nDESK={SECRET}\nK={KEY}\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_chinese_is_spoken_to_in_chinese() {
    let place = Place::new().await;
    let config = place.path("config.toml");
    let app_id = place.sim.config().app_id.clone();
    let mut terminal = Terminal::run_with(
        place.folder.path(),
        &[
            "init",
            "--config",
            config.to_str().unwrap(),
            "--base-url",
            &place.sim.base_url(),
        ],
        &[("LANG", "zh_CN.UTF-8")],
    );
    terminal.until("新建：").until("飞书或 Lark 应用");
    terminal.until("App ID: ").types("我的机器人");
    terminal.until("“凭证与基础信息”").until("App ID: ");
    terminal.types(&app_id);
    terminal
        .until("App Secret （不显示）: ")
        .types("planted-wrong");
    terminal.until("飞书拒绝了").until("]: ").types("");
    terminal
        .until("App Secret （不显示） [保持不变]: ")
        .types(SECRET);
    terminal.until("认得它：机器人").until("[websocket]: ");
    terminal.types("长连接").until("请回答 websocket");
    terminal.until("[websocket]: ").types("");
    terminal.until("服务商: ").types("compatible");
    terminal
        .until("接口地址，包含版本部分: ")
        .types(&place.model.base_url());
    terminal.until("模型名称: ").types("scripted");
    terminal.until("需要密钥吗？ [否]: ").types("也许");
    terminal
        .until("请回答 是 或 否")
        .until("[否]: ")
        .types("是");
    terminal.until("密钥 （不显示）: ").types(KEY);
    terminal.until("模型有应答").until("工作目录 [").types("");
    terminal.until("xiaoo.env (新建, 仅所有者可读)");
    terminal.until("写入吗？ [是]: ").types("");
    for words in [
        &format!("/app/{app_id}/bot"),
        "“权限管理”",
        "im:message.p2p_msg:readonly",
        "“使用长连接接收事件”",
        "“版本管理与发布”",
        "在手机上打开后台",
    ] {
        terminal.until(words);
    }
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
    assert!(!terminal.shown().contains("planted-"));
    assert!(place.read("config.toml").contains("# 用哪个模型应答"));

    // The flag counts before the locale.
    let mut terminal = Terminal::run_with(
        place.folder.path(),
        &["init", "--config", config.to_str().unwrap(), "--lang", "en"],
        &[("LANG", "zh_CN.UTF-8")],
    );
    terminal.until("Changing ").presses(INTERRUPT);
}
