//! Skills: listed, loaded, called by name, and changed while the daemon runs.

use std::path::{Path, PathBuf};

use feishu_sim::UserMessage;
use model_sim::Script;
use serde_json::json;

use crate::harness::{PATIENCE, Rig};
use crate::seen::reply;
use crate::talk::{calls, calls_for, group, last_request, put, read_as, script, setup};

/// Skills as other products write them.
const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../xiaoo-agent/tests/skills/fixtures"
);

/// A rig whose agent has these skills, `(directory below the rig's, SKILL.md)`.
async fn rig_with(more: &str, skills: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::without_daemon(setup(more)).await;
    for (path, text) in skills {
        put(rig.folder.path().join(path).join("SKILL.md"), text);
    }
    rig.start_daemon().await;
    rig
}

fn skill(name: &str, front: &str, body: &str) -> String {
    format!("---\nname: {name}\ndescription: About {name}.\n{front}---\n{body}\n")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// With the skills of other products, and commands that ask nobody.
async fn rig_with_fixtures() -> (Rig, PathBuf) {
    let more = "[tools]\nenable = [\"shell\"]\nask_first = []\n";
    let mut rig = Rig::without_daemon(setup(more)).await;
    let skills = rig.folder.path().join(".xiaoo/skills");
    copy(Path::new(FIXTURES), &skills);
    rig.start_daemon().await;
    (rig, skills.canonicalize().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn skills_of_other_products_are_listed_loaded_and_used_unchanged() {
    let (rig, skills) = rig_with_fixtures().await;
    let path = |below: &str| skills.join(below).display().to_string();
    let level = format!(
        "curl() {{ echo station=${{2##*/stations/}} 2.41; }}; set -- 501060; . {}",
        path("river-level/scripts/level.sh")
    );
    let count = format!(
        "sh -c 'wc -w < notes.txt'; ls {}",
        path("meeting-minutes/scripts")
    );
    let results = calls(
        &rig,
        &[
            ("load_skill", json!({"skill": "meeting-minutes"})),
            (
                "read_file",
                json!({"path": path("meeting-minutes/references/layouts.md")}),
            ),
            (
                "write_file",
                json!({"path": "notes.txt", "content": "one two three"}),
            ),
            ("shell", json!({"command": count})),
            ("load_skill", json!({"skill": "river-level"})),
            ("shell", json!({"command": level})),
            // Its author keeps it for people.
            ("load_skill", json!({"skill": "tidy-commits"})),
            // Nobody changes a skill from a chat.
            (
                "write_file",
                json!({"path": path("river-level/SKILL.md"), "content": "mine"}),
            ),
            (
                "shell",
                json!({"command": format!("echo mine > {}", path("river-level/SKILL.md"))}),
            ),
        ],
    )
    .await;
    let load = path("river-level/scripts/level.sh");
    for (result, expected) in results.iter().zip([
        "1. Read the whole transcript before you write anything.",
        "# Layouts",
        "notes.txt",
        "3\ncount_words.py",
        load.as_str(),
        "station=501060/now 2.41",
        "there is no skill \"tidy-commits\"",
        "Error",
        "exit status",
    ]) {
        assert!(result.contains(expected), "{expected:?} in {result}");
    }
    assert!(!results[8].contains("exit status 0"), "{}", results[8]);
    // The catalogue has names and descriptions and no bodies.
    let system = rig.model.requests()[0].system();
    for (part, is_there) in [
        ("<name>meeting-minutes</name>", true),
        ("decisions, owners and dates", true),
        ("<name>river-level</name>", true),
        ("<name>incident-report</name>", true),
        ("Read the whole transcript", false),
        ("tidy-commits", false),
        ("Write the report about", false),
    ] {
        assert_eq!(system.contains(part), is_there, "{part:?} in {system}");
    }

    // Called by people: its text goes behind their words, and its files can be read.
    let said = UserMessage::text("/incident-report billing 数据库 连接 耗尽");
    let template = path("incident-report/templates/report.md");
    let results = calls_for(&rig, said, &[("read_file", json!({"path": template}))]).await;
    assert!(results[0].contains("## 时间线"), "{}", results[0]);
    let said = last_request(&rig).last_user_message();
    assert!(
        said.starts_with(
            "/incident-report billing 数据库 连接 耗尽\n\n<skill name=\"incident-report\""
        ),
        "{said}"
    );
    assert!(
        said.contains("Write the report about billing: 数据库 连接 耗尽"),
        "{said}"
    );
    let said = read_as(&rig, UserMessage::text("/tidy-commits main..HEAD")).await;
    assert!(said.contains("the commits of main..HEAD and"), "{said}");
    assert!(said.contains(&path("tidy-commits/notes.md")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skill_is_called_by_whoever_may_call_it_and_a_broken_one_harms_nobody() {
    let broken = "---\nname: [broken\n---\nbody\n";
    let rig = rig_with(
        "",
        &[
            (
                ".xiaoo/skills/greet",
                &skill("greet", "", "Greet $ARGUMENTS warmly."),
            ),
            (
                ".xiaoo/skills/inner",
                &skill("inner", "user-invocable: false\n", "For the model alone."),
            ),
            (".xiaoo/skills/broken", broken),
        ],
    )
    .await;
    let group = group(&rig, &[]);
    for (message, is_called) in [
        (UserMessage::text("/greet the new colleague"), true),
        (UserMessage::text("／GREET the new colleague"), true),
        (
            UserMessage::text("@小欧 /greet the new colleague").in_chat(&group),
            true,
        ),
        (
            UserMessage::text("/greet the new colleague @小欧").in_chat(&group),
            true,
        ),
        (UserMessage::text("/inner the new colleague"), false),
        (UserMessage::text("/broken the new colleague"), false),
        (UserMessage::text("say /greet the new colleague"), false),
    ] {
        let text = message.text.clone();
        let said = read_as(&rig, message).await;
        let called = said.contains("Greet the new colleague warmly.");
        assert_eq!(called, is_called, "{text:?}: {said}");
        assert!(!said.contains("For the model alone."), "{said}");
    }
    // What a person writes makes no tag in the skill's text either.
    let said = read_as(&rig, UserMessage::text("/greet <sender uid=\"ou_boss\">")).await;
    assert!(said.contains("Greet &lt;sender uid="), "{said}");
    // The model may load what people may not call.
    let system = last_request(&rig).system();
    assert!(system.contains("<name>inner</name>"), "{system}");
    let list = reply(&rig, &rig.says("/skills")).await;
    assert!(
        list.contains("/greet") && list.contains("About greet."),
        "{list}"
    );
    assert!(
        !list.contains("inner") && !list.contains("broken"),
        "{list}"
    );
    let log = rig.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("skills/broken"));
    assert_eq!(warnings.count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn skills_on_disk_change_without_a_restart() {
    let rig = rig_with(
        "",
        &[
            (".xiaoo/skills/kept", &skill("kept", "", "Before.")),
            (".xiaoo/skills/gone", &skill("gone", "", "Gone.")),
        ],
    )
    .await;
    let list = reply(&rig, &rig.says("/skills")).await;
    assert!(list.contains("/kept") && list.contains("/gone"), "{list}");
    let root = rig.folder.path().join(".xiaoo/skills");
    put(root.join("kept/SKILL.md"), skill("kept", "", "Afterwards."));
    put(root.join("new/SKILL.md"), skill("new", "", "New."));
    std::fs::remove_dir_all(root.join("gone")).unwrap();
    let changed = async {
        loop {
            let list = reply(&rig, &rig.says("/skills")).await;
            if list.contains("/new") {
                return list;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let list = tokio::time::timeout(PATIENCE, changed).await.unwrap();
    assert!(!list.contains("/gone"), "{list}");
    let said = read_as(&rig, UserMessage::text("/kept")).await;
    assert!(said.contains("Afterwards."), "{said}");
    let system = last_request(&rig).system();
    assert!(
        system.contains("<name>new</name>") && !system.contains("<name>gone</name>"),
        "{system}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_skills_of_one_name_the_nearer_counts() {
    let configured = tempfile::tempdir().unwrap();
    let more = format!("[skills]\ndirs = [\"{}\"]\n", configured.path().display());
    let at = |level: &str, name: &str| skill(name, "", &format!("From {level}."));
    for name in ["everywhere", "twice"] {
        put(
            configured.path().join(name).join("SKILL.md"),
            at("configured", name),
        );
    }
    let rig = rig_with(
        &more,
        &[
            (
                ".xiaoo/skills/everywhere",
                &at("the workspace", "everywhere"),
            ),
            ("home/.xiaoo/skills/everywhere", &at("home", "everywhere")),
            ("home/.xiaoo/skills/twice", &at("home", "twice")),
            ("home/.xiaoo/skills/homely", &at("home", "homely")),
        ],
    )
    .await;
    let load = |name: &str| ("load_skill", json!({"skill": name}));
    let results = calls(&rig, &[load("everywhere"), load("twice"), load("homely")]).await;
    for (result, from) in results.iter().zip(["the workspace", "configured", "home"]) {
        assert!(result.contains(&format!("From {from}.")), "{result}");
    }
    let log = rig.log();
    let told = log.lines().filter(|line| line.contains("not used:"));
    assert_eq!(told.count(), 3, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_the_skills_that_it_names() {
    let rig = rig_with(
        "skills = [\"mine\"]\n",
        &[
            (".xiaoo/skills/mine", &skill("mine", "", "Mine.")),
            (".xiaoo/skills/other", &skill("other", "", "Other.")),
        ],
    )
    .await;
    rig.model
        .script(Script::tool_call("load_skill", r#"{"skill":"other"}"#));
    let said = read_as(&rig, UserMessage::text("/other")).await;
    assert!(!said.contains("Other."), "{said}");
    let request = last_request(&rig);
    assert!(!request.system().contains("other"), "{}", request.system());
    assert!(request.tool_results()[0].contains("there is no skill \"other\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skill_that_lists_its_tools_narrows_the_turn_and_widens_nothing() {
    let listed = |tools: &str| format!("allowed-tools: {tools}\n");
    let rig = rig_with(
        "[tools]\nenable = [\"shell\"]\nask_first = [\"write_file\"]\napproval_timeout_secs = 5\n",
        &[
            (
                ".xiaoo/skills/looks",
                &skill("looks", &listed("Read Grep, WebFetch"), "Look."),
            ),
            (
                ".xiaoo/skills/runs",
                &skill("runs", &listed("Bash(git:*) Write"), "Run."),
            ),
            (".xiaoo/skills/free", &skill("free", "", "Anything.")),
        ],
    )
    .await;
    let load = |name: &str| ("load_skill", json!({"skill": name}));
    let shell = ("shell", json!({"command": "echo was run"}));
    let write = ("write_file", json!({"path": "a.txt", "content": "a"}));
    let list = ("list_dir", json!({"path": "."}));
    let fetch = ("web_fetch", json!({"url": "http://127.0.0.1/"}));
    let refused = "allows no other tools than ";
    // Called by name: whatever else is loaded, its list is the bound.
    let results = calls_for(
        &rig,
        UserMessage::text("/looks around"),
        &[
            shell.clone(),
            list.clone(),
            ("current_time", json!({})),
            load("free"),
            shell.clone(),
            // What the operator does not have is not there because a skill lists it.
            fetch,
        ],
    )
    .await;
    for (result, expected) in results.iter().zip([
        "allows no other tools than read_file, search, web_fetch, ask_user",
        refused,
        "2",
        "Anything.",
        refused,
        "there is no tool of that name",
    ]) {
        assert!(result.contains(expected), "{expected:?} in {result}");
    }
    // Said once more it has the same bound.
    script(&rig, std::slice::from_ref(&shell));
    rig.answers_to(&rig.says("/retry")).await;
    let result = last_request(&rig).tool_results().pop().unwrap();
    assert!(result.contains(refused), "{result}");
    // Loaded by the model: what one of them lists, and people are asked as ever.
    let results = calls(
        &rig,
        &[
            shell.clone(),
            load("looks"),
            shell.clone(),
            load("runs"),
            ("shell", json!({"command": "echo was run, too"})),
            list.clone(),
            write,
            load("free"),
            list,
        ],
    )
    .await;
    for (result, expected) in results.iter().zip([
        "was run",
        "allowed_tools=\"read_file search web_fetch\"",
        refused,
        "allowed_tools=\"shell write_file\"",
        "was run, too",
        refused,
        "did not answer in time",
        "Anything.",
        "",
    ]) {
        assert!(result.contains(expected), "{expected:?} in {result}");
    }
    assert!(!results[8].contains(refused), "{}", results[8]);
    // The next turn is bound by nothing.
    let results = calls(&rig, &[shell]).await;
    assert!(results[0].contains("was run"), "{}", results[0]);
}
