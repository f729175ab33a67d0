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
    for words in [
        &format!("/app/{app_id}/bot"),
        "im:message.p2p_msg:readonly",
        "xiaoo-app daemon --config",
        "persistent connection",
        "im.message.receive_v1",
        "Publish a version",
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
        terminal.until("Its key (not shown) [as it is]: ").types("");
        terminal.until("It answers.").until("works in [").types("");
        if !consent.is_empty() {
            terminal.until("  model = \"another\"\n".trim_end());
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
        .until("Verification Token: ")
        .types("");
    terminal
        .until("It cannot be empty.")
        .until("Verification Token: ")
        .types("a token");
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
        written.contains("verification_token = \"a token\""),
        "{written}"
    );
    assert!(
        place
            .read("xiaoo.env")
            .contains("FEISHU_ENCRYPT_KEY=planted-encrypt-key\n")
    );
}
