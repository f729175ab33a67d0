//! Without a terminal: flags, or nothing.

use std::process::{Command, Output, Stdio};

use crate::{KEY, Place, SECRET, mode};

fn init(place: &Place, more: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xiaoo-app"))
        .args(["init", "--config"])
        .arg(place.path("config.toml"))
        .args(more)
        .env_clear()
        .env("HOME", place.folder.path())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_answers_missing_it_lists_the_flags_and_exits_with_2() {
    let place = Place::new().await;
    for (flags, missing) in [
        (
            &[][..],
            &["--app-id", "$FEISHU_APP_SECRET", "--provider", "--model"][..],
        ),
        (
            &[
                "--app-id",
                "cli_1",
                "--transport",
                "webhook",
                "--provider",
                "vllm",
            ],
            &[
                "$FEISHU_APP_SECRET",
                "--verification-token",
                "--api-base",
                "--model",
            ],
        ),
        (
            &[
                "--app-id",
                "cli_1",
                "--provider",
                "openrouter",
                "--model",
                "m",
            ],
            &["$FEISHU_APP_SECRET", "$OPENROUTER_API_KEY"],
        ),
    ] {
        let output = init(&place, flags, &[]);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let said = said(&output);
        let found: Vec<_> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("missing  ")?.split(' ').next())
            .collect();
        assert_eq!(found, missing, "{said}");
        for flag in ["--config", "--workspace", "--systemd-unit", "--yes"] {
            assert!(said.contains(flag), "{said}");
        }
        assert!(place.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_flags_it_writes_and_with_one_more_changes_that_alone() {
    let place = Place::new().await;
    let (feishu, model) = (place.sim.base_url(), place.model.base_url());
    let work = place.path("work");
    let flags = [
        "--app-id",
        &place.sim.config().app_id,
        "--base-url",
        &feishu,
        "--provider",
        "compatible",
        "--api-base",
        &model,
        "--model",
        "scripted",
        "--api-key-env",
        "MY_KEY",
        "--workspace",
        work.to_str().unwrap(),
    ];
    let wrong = init(
        &place,
        &flags,
        &[("FEISHU_APP_SECRET", "planted-wrong"), ("MY_KEY", KEY)],
    );
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong).contains("were refused; nothing was written"),
        "{}",
        said(&wrong)
    );
    assert!(place.is_empty());

    let secrets = [("FEISHU_APP_SECRET", SECRET), ("MY_KEY", KEY)];
    let output = init(&place, &flags, &secrets);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (config, env) = (place.read("config.toml"), place.read("xiaoo.env"));
    assert!(config.contains("api_key_env = \"MY_KEY\""), "{config}");
    assert!(env.contains(&format!("MY_KEY={KEY}\n")), "{env}");
    assert_eq!(mode(&place.path("xiaoo.env")), 0o600);

    // The secrets are known now; the files are somebody's.
    let refused = init(&place, &["--model", "another"], &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("missing  --yes"),
        "{}",
        said(&refused)
    );
    assert_eq!(place.read("config.toml"), config);

    let output = init(&place, &["--model", "another", "--yes"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let expected = config.replace("model = \"scripted\"", "model = \"another\"");
    assert_eq!(place.read("config.toml"), expected);
    assert_eq!(place.read("xiaoo.env"), env);
    for output in [wrong, refused, output] {
        assert!(!said(&output).contains("planted-"), "{}", said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unit_is_for_its_own_place_and_the_site_for_webhooks() {
    let place = Place::new().await;
    let base = place.sim.base_url();
    let unit = place.path("x.service");
    let site = place.path("x.conf");
    let flags = [
        "--untested",
        "--app-id",
        "cli_1",
        "--base-url",
        &base,
        "--provider",
        "ollama",
        "--model",
        "m",
    ];
    let with = |more: &[&str]| {
        init(
            &place,
            &[&flags[..], more].concat(),
            &[("FEISHU_APP_SECRET", SECRET)],
        )
    };
    let site_flags = [
        "--nginx-site",
        site.to_str().unwrap(),
        "--server-name",
        "bot.test",
    ];
    for (more, words) in [
        (
            &["--systemd-unit", unit.to_str().unwrap()][..],
            "/opt/xiaoo/config/config.toml",
        ),
        (&site_flags, "needs no nginx"),
        (
            &[
                &site_flags[..3],
                &[
                    "a; b",
                    "--transport",
                    "webhook",
                    "--verification-token",
                    "t",
                ],
            ]
            .concat(),
            "letters, digits, dots",
        ),
    ] {
        let output = with(more);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(place.is_empty());
    }
    let output = with(
        &[
            &site_flags[..],
            &["--transport", "webhook", "--verification-token", "t"],
        ]
        .concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shipped = include_str!("../../../deploy/nginx/xiaoo.conf");
    assert_eq!(
        place.read("x.conf"),
        shipped.replace("bot.example.com", "bot.test")
    );
}

/// A configuration of somebody's, with these lines in `[channels.feishu]`.
fn written(place: &Place, channel: &str) -> String {
    let home = place.folder.path().display();
    format!(
        "[llm]\nprovider = 'ollama'\nmodel = 'm'\n[channels.feishu]\n{channel}\
         [agents]\n[[agents.list]]\nid = 'main'\nworkspace = '{home}'\nagent_dir = '{home}'\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_means_without_saying_it_stays_as_it_is() {
    let place = Place::new().await;
    let app = "app_id = 'cli_00000000000000f1'\napp_secret_env = 'S'\n";
    for more in [
        "domain = 'lark'\ntransport = 'websocket'\n",
        "transport = \"websocket\"\n",
        // A webhook in Feishu's cloud.
        "verification_token = 't'\n",
        "base_url = 'https://open.larksuite.com'\ntransport = 'websocket'\n",
    ] {
        let before = written(&place, &format!("{app}{more}"));
        std::fs::write(place.path("config.toml"), &before).unwrap();
        let flags = ["--untested", "--yes", "--model", "another"];
        let output = init(&place, &flags, &[("S", SECRET)]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let expected = before.replace("model = 'm'", "model = \"another\"");
        assert_eq!(place.read("config.toml"), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_named_stays_where_its_value_is_known_nowhere() {
    let place = Place::new().await;
    let home = place.folder.path().display();
    let before = format!(
        "[llm]\nprovider = 'compatible'\napi_base = 'http://127.0.0.1:9/v1'\nmodel = 'm'\n\
         api_key_env = 'GATEWAY_KEY'\n[channels.feishu]\napp_id = 'cli_00000000000000f1'\n\
         app_secret_env = 'S'\nverification_token = 't'\nencrypt_key_env = 'E'\n\
         [agents]\n[[agents.list]]\nid = 'main'\nworkspace = '{home}'\nagent_dir = '{home}'\n"
    );
    std::fs::write(place.path("config.toml"), &before).unwrap();
    let flags = ["--untested", "--yes", "--model", "another"];
    let output = init(&place, &flags, &[("S", SECRET)]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for named in ["variable GATEWAY_KEY is not set", "variable E is not set"] {
        assert!(said(&output).contains(named), "{}", said(&output));
    }
    assert_eq!(place.read("config.toml"), before);

    let secrets = [("S", SECRET), ("GATEWAY_KEY", KEY), ("E", "planted-e")];
    let output = init(&place, &flags, &secrets);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let kept = before.replace("model = 'm'", "model = \"another\"");
    assert_eq!(place.read("config.toml"), kept);

    // Another provider wants another key, and what goes away is listed.
    let flags = [
        "--untested",
        "--yes",
        "--provider",
        "ollama",
        "--model",
        "m",
    ];
    let output = init(&place, &flags, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let written = place.read("config.toml");
    assert!(!written.contains("api_key_env"), "{written}");
    assert!(written.contains("encrypt_key_env = 'E'"), "{written}");
    for line in ["- api_key_env = 'GATEWAY_KEY'", "+ provider = \"ollama\""] {
        assert!(said(&output).contains(line), "{}", said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_bots_the_flag_says_which() {
    let place = Place::new().await;
    let before = written(
        &place,
        "transport = 'websocket'\napp_id = 'cli_00000000000000f1'\napp_secret_env = 'S'\n\
         accounts = [ # one line each\n  { channel_instance_id = 'desk', transport = 'websocket', \
         app_id = 'cli_00000000000000f2', app_secret_env = 'D' },\n]\n",
    );
    std::fs::write(place.path("config.toml"), &before).unwrap();
    let secrets = [("S", SECRET), ("D", "planted-desk")];
    let flags = ["--untested", "--yes", "--app-id", "cli_00000000000000f9"];

    let output = init(&place, &flags, &secrets);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("missing  --account"),
        "{}",
        said(&output)
    );
    let with = |account| {
        init(
            &place,
            &[&flags[..], &["--account", account]].concat(),
            &secrets,
        )
    };
    let output = with("dask");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("there are: feishu, desk"),
        "{}",
        said(&output)
    );
    assert_eq!(place.read("config.toml"), before);

    let output = with("desk");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let expected = before.replace("'cli_00000000000000f2'", "\"cli_00000000000000f9\"");
    assert_eq!(place.read("config.toml"), expected);
    assert!(!said(&output).contains("planted-"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_flags_is_chinese_where_the_locale_is() {
    let place = Place::new().await;
    let output = init(&place, &["--app-id", "cli_1"], &[("LANG", "zh_CN.UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    for words in [
        "没有可以询问的终端",
        "缺少     --model",
        "--account",
        "智能体的工作目录",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("缺少     --app-id"), "{said}");
}
