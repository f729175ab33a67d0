//! What the model can do, by itself and with what others offer.

use std::process::Command;
use std::time::{Duration, Instant};

use feishu_sim::UserMessage;
use model_sim::Script;
use serde_json::{Value, json};

use crate::harness::PATIENCE;
use crate::peer::{Mcp, Page};
use crate::seen::say;
use crate::talk::{
    asked, calls, directories, group, last_request, only_directory, press, put, rig, script,
    times_asked,
};

/// Commands that ask nobody.
const SHELL: &str = "[tools]\nenable = [\"shell\"]\nask_first = []\n";

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_changed_listed_and_searched_in_the_conversations_directory() {
    let rig = rig("").await;
    let steps = [
        (
            "write_file",
            json!({"path": "notes/plan.md", "content": "one\ntwo\nthree\n"}),
            "notes/plan.md",
        ),
        (
            "edit_file",
            json!({"path": "notes/plan.md", "old": "two", "new": "zwei"}),
            "notes/plan.md",
        ),
        (
            "edit_file",
            json!({"path": "notes/plan.md", "old": "four", "new": "vier"}),
            "Error",
        ),
        ("list_dir", json!({"path": "notes"}), "plan.md"),
        (
            "search",
            json!({"pattern": "^z.*i$"}),
            "notes/plan.md:2: zwei",
        ),
        (
            "read_file",
            json!({"path": "notes/plan.md"}),
            "one\nzwei\nthree",
        ),
        ("read_file", json!({"path": "nothing.md"}), "Error"),
        // Anything that a model may get wrong.
        ("read_file", json!({}), "Error"),
        ("no_such_tool", json!({}), "there is no tool of that name"),
    ];
    let made: Vec<(&str, Value)> = steps
        .iter()
        .map(|(name, arguments, _)| (*name, arguments.clone()))
        .collect();
    let results = calls(&rig, &made).await;
    for (result, (name, _, expected)) in results.iter().zip(&steps) {
        assert!(result.contains(expected), "{name}: {result}");
    }
    let plan = only_directory(&rig).join("notes/plan.md");
    assert_eq!(std::fs::read_to_string(plan).unwrap(), "one\nzwei\nthree\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_bounded_and_the_whole_of_a_long_output_can_be_read() {
    let rig = rig(SHELL).await;
    // The simulated platform itself: somebody who listens.
    let port = rig.sim.base_url().rsplit(':').next().unwrap().to_owned();
    let reach = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached");
    let here = Command::new("bash").args(["-c", &reach]).output().unwrap();
    assert_eq!(here.stdout, b"reached\n", "{here:?}");
    let began = Instant::now();
    let results = calls(
        &rig,
        &[
            ("shell", json!({"command": "seq 1 20000"})),
            (
                "shell",
                json!({"command": "echo begun; sleep 60", "timeout_secs": 1}),
            ),
            ("shell", json!({"command": format!("bash -c '{reach}'")})),
            (
                "shell",
                json!({"command": "env; cat /proc/1/environ", "directory": "."}),
            ),
            ("shell", json!({"command": "exit 3"})),
        ],
    )
    .await;
    assert!(began.elapsed() < Duration::from_secs(30));
    let whole = &results[0];
    assert!(
        whole.starts_with("exit status 0\n1\n2\n") && whole.ends_with("\n20000"),
        "{whole}"
    );
    assert!(whole.len() < 32 << 10 && !whole.contains("\n10000\n"));
    assert!(
        results[1].contains("longer than 1 seconds") && results[1].contains("begun"),
        "{}",
        results[1]
    );
    assert!(!results[2].contains("reached"), "{}", results[2]);
    for planted in crate::harness::daemon::PLANTED {
        assert!(!results[3].contains(planted), "{}", results[3]);
    }
    assert!(results[4].starts_with("exit status 3"), "{}", results[4]);
    let (_, rest) = whole.split_once("the whole is in ").unwrap();
    let (path, _) = rest.split_once(':').unwrap();
    let read = json!({"path": path, "offset": 10_000, "limit": 2});
    let results = calls(&rig, &[("read_file", read)]).await;
    assert!(results[0].contains("10000\n10001"), "{}", results[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_and_its_networks_are_not_fetched_unless_the_operator_says_so() {
    let page =
        Page::serve("<html><body><h1>Opening hours</h1><p>nine to five</p></body></html>").await;
    let port = page.port();
    let rig = rig(format!(
        "[tools]\nenable = [\"web_fetch\"]\n\
         [tools.web_fetch]\nallow_private_hosts = [\"localhost:{port}\"]\n"
    ))
    .await;
    let refused = [
        rig.sim.base_url(),
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    let fetch = |url: &str| ("web_fetch", json!({"url": url}));
    let made: Vec<(&str, Value)> = refused.iter().map(|url| fetch(url)).collect();
    let results = calls(&rig, &made).await;
    for (result, url) in results.iter().zip(&refused) {
        assert!(result.starts_with("Error"), "{url}: {result}");
    }
    assert_eq!(page.visits(), 0);
    let allowed = format!("http://localhost:{port}/");
    let results = calls(&rig, &[fetch(&allowed)]).await;
    assert!(
        results[0].contains("Opening hours") && results[0].contains("nine to five"),
        "{}",
        results[0]
    );
    assert_eq!(page.visits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_servers_are_offered_called_and_asked_about() {
    let peer = Mcp::new();
    let config = [
        peer.config("desk", ""),
        peer.config("free", "ask_first = false\n"),
        peer.config("some", "tools = [\"look\"]\n"),
        "[tools.mcp.broken]\ncommand = \"/nonexistent/server\"\n".to_owned(),
    ];
    let mut rig = rig(config.concat()).await;
    // What only reads, and what the operator lets through, asks nobody.
    let results = calls(
        &rig,
        &[
            ("mcp__desk__look", json!({"what": "left"})),
            ("mcp__free__change", json!({"what": "right"})),
            ("mcp__desk__flood", json!({})),
        ],
    )
    .await;
    assert_eq!(
        results[..2],
        ["it says: left", "changed"].map(str::to_owned)
    );
    assert!(!rig.log().contains("a person is asked"));
    let offered = last_request(&rig).tools();
    for (name, is_there) in [
        ("mcp__desk__look", true),
        ("mcp__desk__change", true),
        ("mcp__some__look", true),
        ("mcp__some__change", false),
    ] {
        assert_eq!(offered.iter().any(|tool| tool == name), is_there, "{name}");
    }
    // Too much for one answer: both ends, and all of it in a file.
    let flood = &results[2];
    assert!(flood.len() < 34 << 10, "{}", flood.len());
    let (_, rest) = flood.split_once("All of it is in ").unwrap();
    let (path, _) = rest.split_once(':').unwrap();
    let file = std::fs::read(only_directory(&rig).join(path)).unwrap();
    assert_eq!(file.len(), 40_000);

    // The rest asks: as it is, and once, also over a restart.
    for (label, changes) in [("Deny", 0), ("Allow once", 1)] {
        let before = peer.changes();
        script(&rig, &[("mcp__desk__change", json!({"what": "the lock"}))]);
        let message = rig.says("change it");
        let card = asked(&rig, &message).await;
        let html = &card.card.as_ref().unwrap().html;
        for part in ["mcp__desk__change", "the lock", "MCP: desk"] {
            assert!(html.contains(part), "{part:?} in {html}");
        }
        assert_eq!(peer.changes(), before);
        rig.daemon.kill();
        rig.start_daemon().await;
        press(&rig, &card, label).await;
        assert_eq!(rig.answer_to(&message).await, "done");
        assert_eq!(peer.changes(), before + changes, "{label}");
        assert_eq!(times_asked(&rig, &message), 1);
        let result = last_request(&rig).tool_results().remove(0);
        let expected = ["a person was asked and said no", "changed"][changes];
        assert!(result.contains(expected), "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_once_whenever_the_daemon_dies() {
    let command = |line: &str| ("shell", json!({"command": line}));
    // It waits for somebody: nothing has happened yet, and it is asked once.
    let mut rig = rig("[tools]\nenable = [\"shell\"]\n").await;
    script(&rig, &[command("echo x >> ran; cat ran")]);
    let message = rig.says("run it");
    let card = asked(&rig, &message).await;
    rig.daemon.kill();
    rig.start_daemon().await;
    let ran = only_directory(&rig).join("ran");
    assert!(!ran.exists());
    press(&rig, &card, "Always in this chat").await;
    assert_eq!(rig.answer_to(&message).await, "done");
    assert_eq!(times_asked(&rig, &message), 1);
    assert_eq!(rig.model.requests().len(), 2);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
    // It has begun: nobody knows how far it came, and the model is told.
    rig.model.script(Script::tool_call(
        "shell",
        json!({"command": "echo y >> ran; sleep 60"}).to_string(),
    ));
    let message = rig.says("and again");
    until("the command has begun", || {
        std::fs::read_to_string(&ran).is_ok_and(|ran| ran.contains('y'))
    })
    .await;
    rig.daemon.kill();
    rig.model.script(Script::Answer("I cannot tell".into()));
    rig.start_daemon().await;
    assert_eq!(rig.answer_to(&message).await, "I cannot tell");
    let results = last_request(&rig).tool_results();
    assert!(results[0].contains("interrupted"), "{results:?}");
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\ny\n");
    // What was always allowed is still.
    let again = calls(&rig, &[command("cat ran")]).await;
    assert!(again[0].contains("x\ny"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_chat_can_not_be_reached_from_another() {
    const SECRET: &str = "the merger is on";
    let rig = rig(SHELL).await;
    let group = group(&rig, &[]);
    rig.model.script(Script::tool_call(
        "write_file",
        json!({"path": "files/secret.txt", "content": SECRET}).to_string(),
    ));
    let message = UserMessage::text("@小欧 keep it").in_chat(&group);
    let message = say(&rig, message);
    rig.answers_to(&message).await;
    let other = directories(&rig).remove(0);
    put(other.join("files/picture.png"), "\x7fPNG not really");
    let absolute = other.join("files/secret.txt").display().to_string();
    let name = other.file_name().unwrap().to_str().unwrap().to_owned();
    let results = calls(
        &rig,
        &[
            ("read_file", json!({"path": format!("../{name}/files/secret.txt")})),
            ("read_file", json!({"path": absolute})),
            ("list_dir", json!({"path": other.join("files")})),
            ("list_dir", json!({"path": ".."})),
            ("search", json!({"pattern": "merger", "path": "/"})),
            ("send_file", json!({"path": absolute})),
            (
                "shell",
                json!({"command": format!("ln -s {absolute} link; ln -s {} up; ls -l", other.display())}),
            ),
            ("read_file", json!({"path": "link"})),
            ("read_file", json!({"path": "up/files/secret.txt"})),
            ("send_file", json!({"path": "up/files/picture.png"})),
            ("edit_file", json!({"path": "link", "old": "on", "new": "off"})),
            ("write_file", json!({"path": "up/files/secret.txt", "content": "x"})),
            ("write_file", json!({"path": "link", "content": "x"})),
            ("search", json!({"pattern": "merger"})),
            (
                "shell",
                json!({"command": format!("cat {absolute} link; ls {}", other.parent().unwrap().display())}),
            ),
        ],
    )
    .await;
    for (at, result) in results.iter().enumerate() {
        assert!(
            !result.contains(SECRET) && !result.contains(&format!("{name}\n")),
            "{at}: {result}"
        );
    }
    for at in [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11] {
        assert!(results[at].starts_with("Error"), "{at}: {}", results[at]);
    }
    assert_eq!(std::fs::read_to_string(&absolute).unwrap(), SECRET);
    let messages = rig.sim.messages(&rig.chat());
    assert!(messages.iter().all(|one| one.files.is_empty()));
}

async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("this never came true: {what}"));
}
