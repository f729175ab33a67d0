//! The tools as a model calls them, on a real disk.

#![expect(
    clippy::unwrap_used,
    reason = "a test that is wrong about what it has should stop there"
)]

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use xiaoo_agent::document::{DocumentLimits, DocumentReader};
use xiaoo_agent::sandbox::Sandbox;
use xiaoo_agent::tool::{Shell, ShellSettings, file_tools};
use xiaoo_agent::{
    Approval, ApprovalRequest, Attachment, Chat, ChatError, Intent, Member, NoChat, OutgoingFile,
    PersonQuestion, ToolContext, ToolOutput, ToolSet, Workspace,
};

#[tokio::test]
async fn files_are_written_read_edited_and_listed() {
    let desk = Desk::new();
    let steps = [
        (
            "write_file",
            json!({"path": "notes/a.md", "content": "one\ntwo\n"}),
            "Wrote notes/a.md: 2 lines, 8 bytes.",
        ),
        (
            "write_file",
            json!({"path": "notes/a.md", "content": "three\n", "append": true}),
            "Added 6 bytes to notes/a.md.",
        ),
        (
            "read_file",
            json!({"path": "notes/a.md"}),
            "notes/a.md (text)\none\ntwo\nthree\n",
        ),
        (
            "read_file",
            json!({"path": "notes/a.md", "offset": "2", "limit": 1}),
            "notes/a.md (text)\ntwo\n[lines 2 to 2 of 3; go on with offset 3]",
        ),
        (
            "edit_file",
            json!({"path": "notes/a.md", "old": "two", "new": "2"}),
            "Replaced 1 occurrence in notes/a.md.",
        ),
        (
            "read_file",
            json!({"path": "notes/a.md"}),
            "notes/a.md (text)\none\n2\nthree\n",
        ),
        ("list_dir", json!({}), "notes/"),
        ("list_dir", json!({"path": "", "depth": 3}), "notes/"),
    ];
    for (tool, arguments, said) in steps {
        let output = desk.call(tool, arguments.clone()).await;
        assert_eq!(output, ToolOutput::ok(said), "{tool} {arguments}");
    }
    let listed = desk
        .call("list_dir", json!({"path": "notes"}))
        .await
        .content;
    assert!(
        listed.starts_with("a.md  12  20") && listed.len() == "a.md  12  2026-09-21T22:13".len()
    );
}

#[tokio::test]
async fn what_goes_wrong_says_what_to_do() {
    let desk = Desk::new();
    fs::write(desk.path("binary"), b"\x7fELF\0\xff").unwrap();
    fs::write(desk.path("empty"), b"").unwrap();
    let secret = desk.all.path().join("secret");
    fs::write(&secret, "planted").unwrap();
    symlink(&secret, desk.path("link")).unwrap();
    let cases = [
        (
            "read_file",
            json!({}),
            "the arguments don't fit: missing field `path`",
        ),
        (
            "read_file",
            json!({"path": "a", "offset": "x"}),
            "the arguments don't fit",
        ),
        (
            "read_file",
            json!({"path": "nope.txt"}),
            "there is no nope.txt. List its directory",
        ),
        (
            "read_file",
            json!({"path": "link"}),
            "outside the workspace",
        ),
        (
            "read_file",
            json!({"path": "/etc/passwd"}),
            "outside the workspace",
        ),
        (
            "write_file",
            json!({"path": "link/x", "content": ""}),
            "outside the workspace",
        ),
        (
            "edit_file",
            json!({"path": "binary", "old": "a", "new": "b"}),
            "not a UTF-8 text",
        ),
        (
            "edit_file",
            json!({"path": "link", "old": "a", "new": "b"}),
            "outside the workspace",
        ),
        ("list_dir", json!({"path": "empty"}), "not a directory"),
        ("search", json!({}), "give a pattern"),
        (
            "search",
            json!({"pattern": "("}),
            "the pattern can't be used",
        ),
        (
            "search",
            json!({"pattern": "(a{1000}){1000}"}),
            "the pattern can't be used",
        ),
        ("search", json!({"glob": "[", }), "the glob can't be used"),
        (
            "search",
            json!({"pattern": "x", "path": "nope"}),
            "there is no nope",
        ),
        (
            "search",
            json!({"pattern": "x", "path": ".."}),
            "it holds `..`",
        ),
        (
            "send_file",
            json!({"path": "empty"}),
            "is empty, and the chat takes no empty files",
        ),
        (
            "send_file",
            json!({"path": "link"}),
            "outside the workspace",
        ),
        ("shell", json!({"command": " "}), "the command is empty"),
        (
            "shell",
            json!({"command": "ls", "directory": "nope"}),
            "there is no nope",
        ),
    ];
    for (tool, arguments, said) in cases {
        let output = desk.call(tool, arguments.clone()).await;
        assert!(output.is_error, "{tool} {arguments}: {output:?}");
        assert!(
            output.content.starts_with("Error: "),
            "{tool}: {}",
            output.content
        );
        assert!(
            output.content.contains(said),
            "{tool} {arguments}: {}",
            output.content
        );
    }
    let context = ToolContext::new("call_1", CancellationToken::new());
    for tool in desk.tools.iter() {
        let arguments = json!({"path": "a", "content": "", "old": "a", "new": "b", "pattern": "a", "command": "a"});
        let output = tool.call(arguments, &context).await;
        assert!(
            output.content.contains("no workspace"),
            "{}: {output:?}",
            tool.name()
        );
    }
}

#[tokio::test]
async fn searching_finds_lines_and_names() {
    let desk = Desk::new();
    for (path, content) in [
        ("src/main.rs", "fn main() {\n    run();\n}\n"),
        ("src/lib.rs", "pub fn run() {}\n"),
        ("notes.txt", "Run away\nfn?\n"),
        (".hidden/x.rs", "fn hidden() {}\n"),
        ("build/out.rs", "fn built() {}\n"),
        (".gitignore", "build/\n"),
        ("data.bin", "fn\0main"),
    ] {
        let path = desk.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    // Patterns of a directory above are not the workspace's.
    fs::write(desk.all.path().join(".gitignore"), "*.txt\n").unwrap();
    let secret = desk.all.path().join("secret");
    fs::write(&secret, "fn secret() {}").unwrap();
    symlink(&secret, desk.path("link.rs")).unwrap();
    let cases = [
        (
            json!({"pattern": r"fn \w+\("}),
            "src/lib.rs:1: pub fn run() {}\nsrc/main.rs:1: fn main() {\n",
        ),
        (
            json!({"pattern": "run", "ignore_case": true, "glob": "*.txt"}),
            "notes.txt:1: Run away\n",
        ),
        (
            json!({"pattern": "fn?", "literal": true}),
            "notes.txt:2: fn?\n",
        ),
        (
            json!({"pattern": r"run\(\);", "context": 1}),
            "src/main.rs-1- fn main() {\nsrc/main.rs:2:     run();\nsrc/main.rs-3- }\n",
        ),
        (json!({"glob": "*.rs"}), "src/lib.rs\nsrc/main.rs\n"),
        (
            json!({"glob": "src/*.rs", "pattern": "pub"}),
            "src/lib.rs:1: pub fn run() {}\n",
        ),
        (json!({"glob": "*.rs", "path": ".hidden"}), ".hidden/x.rs\n"),
        (
            json!({"pattern": "away", "path": "notes.txt"}),
            "notes.txt:1: Run away\n",
        ),
        (
            json!({"pattern": "nowhere"}),
            "No matching lines found (4 files searched).\n",
        ),
        (json!({"glob": "*.py"}), "No files found.\n"),
    ];
    for (arguments, said) in cases {
        let output = desk.call("search", arguments.clone()).await;
        assert_eq!(output, ToolOutput::ok(said), "{arguments}");
    }
}

#[tokio::test]
async fn searching_ends_when_enough_was_found() {
    let desk = Desk::new();
    let many: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    fs::write(desk.path("many"), many).unwrap();
    fs::write(desk.path("wide"), "wide ".repeat(1_000_000)).unwrap();
    let found = desk
        .call("search", json!({"pattern": "line"}))
        .await
        .content;
    assert_eq!(found.lines().count(), 201);
    assert!(found.ends_with("[200 matching lines; there may be more: narrow the search]"));
    let found = desk
        .call("search", json!({"pattern": "wide"}))
        .await
        .content;
    assert!(found.len() < 400 && found.ends_with(" […]\n"), "{found}");
}

#[tokio::test]
async fn files_are_sent_as_they_are_now() {
    let desk = Desk::new();
    let png = b"\x89PNG\r\n\x1a\nrest";
    fs::create_dir(desk.path("out")).unwrap();
    fs::write(desk.path("out/plot.png"), png).unwrap();
    fs::write(desk.path("out/table.csv"), "a,b\n").unwrap();
    let sent = desk
        .call("send_file", json!({"path": "out/plot.png"}))
        .await;
    assert_eq!(
        sent.attachments,
        [Attachment {
            key: Some("key_1".into()),
            name: "plot.png".into(),
            is_image: true,
        }]
    );
    assert_eq!(
        sent.content,
        "out/plot.png (12 bytes) will be sent with your answer as plot.png, shown as a picture."
    );
    let named = json!({"path": "out/table.csv", "name": "../季度/表.csv\n"});
    let sent = desk.call("send_file", named).await;
    assert_eq!(
        sent.attachments,
        [Attachment {
            key: Some("key_2".into()),
            name: "表.csv".into(),
            is_image: false,
        }]
    );
    let took = desk.chat.took.lock().unwrap();
    let expected = [
        ("plot.png".to_owned(), png.to_vec()),
        ("表.csv".to_owned(), b"a,b\n".to_vec()),
    ];
    assert_eq!(*took, expected);
}

#[tokio::test]
async fn what_the_chat_does_not_take_is_said_to_the_model_and_left_to_be_told() {
    let desk = Desk::new();
    fs::write(desk.path("table.csv"), "a,b\n").unwrap();
    let context = desk.context().with_chat(Arc::new(NoChat));
    let tool = desk.tools.get("send_file").unwrap();
    let sent = tool.call(json!({"path": "table.csv"}), &context).await;
    assert_eq!(
        sent.content,
        "Error: table.csv can't be sent: this is not possible in this chat. People will see a note \
         with your answer that table.csv could not be sent."
    );
    assert!(sent.is_error);
    let missing = Attachment {
        key: None,
        name: "table.csv".into(),
        is_image: false,
    };
    assert_eq!(sent.attachments, [missing]);
}

#[tokio::test]
async fn only_so_much_can_be_sent() {
    let desk = Desk::new();
    let cases = [
        (10 << 20, Some(true)),
        ((10 << 20) + 1, Some(false)),
        (30 << 20, Some(false)),
        ((30 << 20) + 1, None),
    ];
    for (bytes, expected) in cases {
        let mut picture = b"GIF89a".to_vec();
        picture.resize(bytes, 0);
        fs::write(desk.path("a.gif"), picture).unwrap();
        let sent = desk.call("send_file", json!({"path": "a.gif"})).await;
        let is_image = sent.attachments.first().map(|sent| sent.is_image);
        assert_eq!(
            (is_image, sent.is_error),
            (expected, expected.is_none()),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn commands_run_in_the_workspace_and_only_there() {
    let desk = Desk::new();
    fs::create_dir(desk.path("sub")).unwrap();
    let secret = desk.all.path().join("secret");
    fs::write(&secret, "planted").unwrap();
    let root = desk.workspace().root().display().to_string();
    let cases = [
        (
            json!({"command": "echo hi > f && cat f"}),
            false,
            "exit status 0\nhi".to_owned(),
        ),
        (
            json!({"command": "pwd", "directory": "sub"}),
            false,
            format!("exit status 0\n{root}/sub"),
        ),
        (
            json!({"command": "true"}),
            false,
            "exit status 0\n(no output)".into(),
        ),
        (
            json!({"command": "echo no >&2; exit 3"}),
            true,
            "exit status 3\nno".into(),
        ),
        (
            json!({"command": "kill -9 $$"}),
            true,
            "ended by signal 9\n(no output)".into(),
        ),
        (
            json!({"command": "echo begun; sleep 100", "timeout_secs": 1}),
            true,
            "stopped: it took longer than 1 seconds\nbegun".into(),
        ),
    ];
    for (arguments, is_error, said) in cases {
        let output = desk.call("shell", arguments.clone()).await;
        assert_eq!(
            (output.is_error, output.content),
            (is_error, said),
            "{arguments}"
        );
    }
    let output = desk
        .call(
            "shell",
            json!({"command": format!("cat {}", secret.display())}),
        )
        .await;
    assert!(
        output.is_error && !output.content.contains("planted"),
        "{output:?}"
    );
    fs::write(desk.path("x"), "").unwrap();
    let output = desk.call("shell", json!({"command": "./x"})).await;
    assert!(
        output.content.contains("run it by its interpreter"),
        "{output:?}"
    );
}

#[tokio::test]
async fn the_whole_of_a_long_output_is_kept() {
    let desk = Desk::new();
    let output = desk.call("shell", json!({"command": "seq 20000"})).await;
    assert!(output.content.len() < 25 << 10);
    assert!(output.content.starts_with("exit status 0\n1\n2\n"));
    assert!(output.content.ends_with("\n19999\n20000"));
    let (_, rest) = output.content.split_once("the whole is in ").unwrap();
    let (file, _) = rest.split_once(':').unwrap();
    assert!(file.starts_with(".outputs/call_1-"), "{file}");
    let kept = fs::read_to_string(desk.path(file)).unwrap();
    assert_eq!(kept.lines().count(), 20_000);
    let found = desk
        .call("search", json!({"pattern": "^12345$", "path": ".outputs"}))
        .await;
    assert_eq!(found.content, format!("{file}:12345: 12345\n"));
}

#[tokio::test]
async fn where_nothing_can_be_contained_nothing_is_run() {
    let desk = Desk::new();
    let helper = env!("CARGO_BIN_EXE_sandbox-helper");
    let script = desk.all.path().join("without-landlock");
    let draft = desk.all.path().join("draft");
    let line = format!("#!/bin/sh\nexec {helper} without-landlock {helper} \"$@\"\n");
    fs::write(&draft, line).unwrap();
    // Another process writes it: a file that this one has written can't be run while a test
    // beside this one forks.
    let mut install = std::process::Command::new("install");
    let installed = install.args(["-m", "755"]).args([&draft, &script]).status();
    assert!(installed.unwrap().success());
    let shell = Shell::new(Sandbox::new(&script), ShellSettings::default());
    let desk = Desk {
        tools: ToolSet::new().with(shell).unwrap(),
        ..desk
    };
    let output = desk
        .call("shell", json!({"command": "echo ran > ran"}))
        .await;
    assert!(
        output.is_error && output.content.contains("the command was not run"),
        "{output:?}"
    );
    assert!(!desk.path("ran").exists());
    let mut settings = ShellSettings::default();
    settings.unsandboxed = true;
    let shell = Shell::new(Sandbox::new(&script), settings);
    let desk = Desk {
        tools: ToolSet::new().with(shell).unwrap(),
        ..desk
    };
    let output = desk.call("shell", json!({"command": "echo ran"})).await;
    assert_eq!(output.content, "exit status 0\nran");
}

#[test]
fn people_are_asked_about_what_really_happens() {
    let desk = Desk::new();
    let context = desk.context();
    let root = desk.workspace().root().display().to_string();
    let cases = [
        (
            "shell",
            json!({"command": "rm -r x", "directory": "sub"}),
            "rm -r x",
            format!("{root}/sub"),
        ),
        (
            "write_file",
            json!({"path": "a", "content": "c"}),
            "write a",
            root.clone(),
        ),
        ("send_file", json!({"path": "a"}), "send a", root.clone()),
        ("search", json!({"pattern": "a"}), "search for a", root),
    ];
    for (tool, arguments, what, place) in cases {
        let intent = desk.tools.get(tool).unwrap().intent(&arguments, &context);
        let what = what.to_owned();
        assert_eq!(intent, Intent { what, place }, "{tool}");
    }
}

/// A chat that takes every file.
#[derive(Default)]
struct Taker {
    took: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Chat for Taker {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>> {
        NoChat.members()
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        NoChat.approve(request)
    }

    fn ask<'a>(&'a self, question: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>> {
        NoChat.ask(question)
    }

    fn take_file(&self, mut file: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>> {
        let mut bytes = Vec::new();
        file.file.read_to_end(&mut bytes).unwrap();
        let mut took = self.took.lock().unwrap();
        took.push((file.name, bytes));
        let key = format!("key_{}", took.len());
        async { Ok(key) }.boxed()
    }
}

struct Desk {
    tools: ToolSet,
    chat: Arc<Taker>,
    all: TempDir,
}

impl Desk {
    fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_sandbox-helper"));
        let reader = DocumentReader::Apart(sandbox.clone(), DocumentLimits::default());
        let shell = Shell::new(sandbox, ShellSettings::default());
        let mut tools = ToolSet::new().with(shell).unwrap();
        for tool in file_tools(reader) {
            tools = tools.with_shared(tool).unwrap();
        }
        let all = TempDir::new().unwrap();
        fs::create_dir(all.path().join("root")).unwrap();
        let chat = Arc::default();
        Self { tools, chat, all }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.all.path().join("root").join(path)
    }

    fn workspace(&self) -> Workspace {
        Workspace::open(self.path("")).unwrap()
    }

    fn context(&self) -> ToolContext {
        let mut context = ToolContext::new("call_1", CancellationToken::new());
        context.workspace = Some(self.workspace());
        context.with_chat(self.chat.clone())
    }

    async fn call(&self, tool: &str, arguments: Value) -> ToolOutput {
        let context = self.context();
        self.tools
            .get(tool)
            .unwrap()
            .call(arguments, &context)
            .await
    }
}
