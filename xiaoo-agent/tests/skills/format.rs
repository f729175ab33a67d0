//! SKILL.md and SKILL.toml: what is read, what is forgiven, what is not.

use xiaoo_agent::skill::{Fault, Level, check};
use xiaoo_agent::{Diagnostic, SkillLimits};

use crate::yard::{Yard, skill_md};

/// The worst that is said at load, and the worst that authors are told.
fn levels(yard: &Yard, directory: &str) -> (Option<Level>, Option<Level>) {
    let (_, diagnostics) = yard.only();
    let at_load = diagnostics.iter().map(|found| found.level).max();
    (
        at_load,
        strict(yard, directory).iter().map(Fault::strict).max(),
    )
}

fn strict(yard: &Yard, directory: &str) -> Vec<Fault> {
    let bytes_max = SkillLimits::default().file_bytes_max;
    check(&yard.path().join(directory), bytes_max)
        .unwrap()
        .faults
}

#[test]
fn names_are_forgiven_at_load_and_not_by_the_check() {
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);
    let endless = "a".repeat(257);
    let warning = Some(Level::Warning);
    let error = Some(Level::Error);
    // Directory, name as written, name as loaded, at load, strict.
    type Case<'a> = (
        &'a str,
        &'a str,
        Option<&'a str>,
        Option<Level>,
        Option<Level>,
    );
    let cases: &[Case<'_>] = &[
        ("a", "a", Some("a"), None, None),
        ("a1-b2", "a1-b2", Some("a1-b2"), None, None),
        (&longest, &longest, Some(&longest), None, None),
        (&too_long, &too_long, Some(&too_long), warning, error),
        ("x", &endless, None, error, error),
        ("Ab", "Ab", Some("Ab"), warning, error),
        ("-a", "-a", Some("-a"), warning, error),
        ("a-", "a-", Some("a-"), warning, error),
        ("a--b", "a--b", Some("a--b"), warning, error),
        ("a_b", "a_b", Some("a_b"), warning, error),
        ("a b", "a b", Some("a-b"), warning, error),
        // Full-width digits are the usual ones.
        ("v12", "v１２", Some("v12"), None, None),
        ("v１２", "v12", Some("v12"), None, None),
        ("周报", "周报", Some("周报"), None, warning),
        ("here", "there", Some("there"), warning, error),
        ("123", "123", Some("123"), None, None),
        ("no", "no", Some("no"), None, None),
        ("dir", "''", Some("dir"), warning, error),
    ];
    for (directory, written, loaded, at_load, strict) in cases {
        let yard = Yard::with(directory, skill_md(written, "d", "b"));
        let (skill, _) = yard.only();
        assert_eq!(
            skill.as_ref().map(|skill| skill.name()),
            *loaded,
            "{written}"
        );
        assert_eq!(levels(&yard, directory), (*at_load, *strict), "{written}");
    }
}

#[test]
fn a_missing_name_is_the_directorys() {
    let yard = Yard::with("from-folder", "---\ndescription: d\n---\nb");
    let (skill, _) = yard.only();
    assert_eq!(skill.unwrap().name(), "from-folder");
    assert_eq!(strict(&yard, "from-folder"), [Fault::NameMissing]);
}

#[test]
fn lengths_are_counted_in_characters() {
    let of = |length: usize| "龘".repeat(length);
    let wide = |length: usize| "𠀀".repeat(length);
    let warning = Some(Level::Warning);
    let error = Some(Level::Error);
    let cases = [
        (format!("description: {}", of(1)), None, None),
        (format!("description: {}", wide(1024)), None, None),
        (format!("description: {}", wide(1025)), warning, error),
        ("description:".into(), error, error),
        ("description: '  '".into(), error, error),
        ("license: MIT".into(), error, error),
        ("description: [a]".into(), error, error),
        (
            format!("description: d\ncompatibility: {}", wide(500)),
            None,
            None,
        ),
        (
            format!("description: d\ncompatibility: {}", wide(501)),
            warning,
            error,
        ),
        ("description: d\ncompatibility: ''".into(), warning, error),
    ];
    for (fields, at_load, strict) in cases {
        let yard = Yard::with("s", format!("---\nname: s\n{fields}\n---\nb"));
        assert_eq!(levels(&yard, "s"), (at_load, strict), "{fields:.40}");
    }
}

#[test]
fn descriptions_are_what_yaml_says_they_are() {
    let cases = [
        ("description: plain # with a remark", "plain"),
        ("description: 'it''s'", "it's"),
        ("description: \"a\\tb\"", "a\tb"),
        ("description: >-\n  folded\n  text", "folded text"),
        ("description: >\n  folded\n  text\n", "folded text"),
        ("description: |\n  two\n  lines", "two\nlines"),
        (
            "description: |-\n  ----\n  | a | b |\n   ---\n  end",
            "----\n| a | b |\n ---\nend",
        ),
        ("description: over\n  two lines", "over two lines"),
        ("description: 3.5", "3.5"),
        ("description: 0755", "0755"),
        ("description: yes", "yes"),
        ("description: true", "true"),
        ("description: &a x\nlicense: *a", "x"),
        // Not YAML, and what it was meant to be is plain.
        (
            "description: Use when: somebody asks",
            "Use when: somebody asks",
        ),
        (
            "description: Use when: it's\n  needed",
            "Use when: it's needed",
        ),
        ("description: ends with a colon:", "ends with a colon:"),
    ];
    for (fields, expected) in cases {
        let yard = Yard::with("s", format!("---\nname: s\n{fields}\n---\nb"));
        let (skill, diagnostics) = yard.only();
        let skill = skill.unwrap_or_else(|| panic!("{fields}: {diagnostics:?}"));
        assert_eq!(skill.manifest().description, expected, "{fields}");
    }
    let yard = Yard::with("s", "---\nname: s\ndescription: Use when: asked\n---\nb");
    assert_eq!(strict(&yard, "s"), [Fault::NotQuoted(3)]);
}

#[test]
fn other_fields_are_read_in_every_spelling() {
    let yard = Yard::with(
        "s",
        "---\nname: s\ndescription: d\nlicense: MIT\nmetadata:\n  name: not the skill's\n  size: 3\n  deep: {a: [1]}\n\
         allowed_tools: [Read, 'Bash(git:*)']\nuser_invocable: no\ndisable-model-invocation: 'true'\n\
         arguments:\n  - one\n  - name: two\n    required: true\nargument_hint: <one> [two]\nversion: 1.5\nauthor: me\n\
         tags: a, b\nalways: true\n---\nb",
    );
    let (skill, diagnostics) = yard.only();
    assert_eq!(diagnostics, Vec::<Diagnostic>::new());
    let skill = skill.unwrap();
    let manifest = skill.manifest();
    assert_eq!(manifest.name, "s");
    let metadata: Vec<_> = manifest
        .metadata
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        metadata,
        [
            ("deep", r#"{"a":[1]}"#),
            ("name", "not the skill's"),
            ("size", "3")
        ]
    );
    let tools = ["Read".to_owned(), "Bash(git:*)".to_owned()];
    assert_eq!(manifest.allowed_tools.as_deref(), Some(&tools[..]));
    assert!(!manifest.user_invocable && manifest.disable_model_invocation && manifest.always);
    assert_eq!(manifest.arguments, ["one", "two"]);
    assert_eq!(manifest.argument_hint.as_deref(), Some("<one> [two]"));
    assert_eq!(manifest.version.as_deref(), Some("1.5"));
    assert_eq!(manifest.author.as_deref(), Some("me"));
    assert_eq!(manifest.tags, ["a", "b"]);

    for (written, expected) in [
        ("Bash(git add:*) Read", &["Bash(git add:*)", "Read"][..]),
        ("Read, Grep,Glob", &["Read", "Grep", "Glob"]),
        ("''", &[]),
    ] {
        let yard = Yard::with(
            "s",
            format!("---\nname: s\ndescription: d\nallowed-tools: {written}\n---\nb"),
        );
        let tools = yard.only().0.unwrap().manifest().allowed_tools.clone();
        assert_eq!(tools.unwrap(), expected, "{written}");
    }
}

#[test]
fn what_is_unknown_or_of_a_wrong_kind_is_left_out() {
    let cases = [
        ("colour: red", Fault::UnknownKey("colour".into())),
        (
            "homepage: https://x.example",
            Fault::Extension("homepage".into()),
        ),
        ("metadata: 7", wrong("metadata", "a map of strings")),
        ("license: {a: b}", wrong("license", "a string")),
        (
            "user-invocable: perhaps",
            wrong("user-invocable", "true or false"),
        ),
        ("arguments: 7", wrong("arguments", "a list of names")),
        (
            "allowed-tools: {a: b}",
            wrong("allowed-tools", "one string"),
        ),
        ("allowed-tools: [Read]", Fault::AllowedToolsList),
        (
            "allowed-tools: WebSearch Bsh(git:*)",
            Fault::AllowedToolsUnknown("WebSearch Bsh(git:*)".into()),
        ),
        (
            "allowed-tools: ''",
            Fault::AllowedToolsUnknown(String::new()),
        ),
    ];
    for (field, fault) in cases {
        let yard = Yard::with(
            "s",
            format!("---\nname: s\ndescription: d\n{field}\n---\nb"),
        );
        let mut faults = strict(&yard, "s");
        faults.retain(|fault| !matches!(fault, Fault::Extension(_)) || field.contains("home"));
        assert_eq!(faults, [fault], "{field}");
        assert!(yard.only().0.is_some(), "{field}");
    }
}

fn wrong(key: &str, wanted: &'static str) -> Fault {
    Fault::WrongType {
        key: key.into(),
        wanted,
    }
}

#[test]
fn bytes_are_taken_as_editors_write_them() {
    let text = skill_md("s", "d", "one\n---\ntwo");
    let cases: [(&str, Vec<u8>); 5] = [
        ("plain", text.clone().into()),
        ("CRLF", text.replace('\n', "\r\n").into()),
        ("BOM", format!("\u{feff}{text}").into()),
        (
            "blanks after the fences",
            text.replacen("---\n", "--- \t\n", 2).into(),
        ),
        ("no end of line at the end", text.trim_end().into()),
    ];
    for (case, bytes) in cases {
        let yard = Yard::with("s", bytes);
        let (skill, diagnostics) = yard.only();
        assert_eq!(diagnostics, [], "{case}");
        assert_eq!(skill.unwrap().body(), "one\n---\ntwo", "{case}");
    }
}

#[test]
fn what_can_not_be_read_is_skipped_with_one_clear_word() {
    let huge = vec![b'x'; 10 << 20];
    let just_too_long = skill_md("s", "d", &"x".repeat(256 << 10));
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]";
    let deep = format!("metadata: {}1{}", "[".repeat(100), "]".repeat(100));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            b"# Just text".to_vec(),
            "skipped: no front matter: the first line must be `---`",
        ),
        (b"".to_vec(), "skipped: no front matter"),
        (b"----\nname: s\n---\n".to_vec(), "skipped: no front matter"),
        (
            b"---\nname: s\ndescription: d\n".to_vec(),
            "skipped: the front matter is not closed",
        ),
        (
            b"---\nname: s\ndescription: d\n----\n".to_vec(),
            "is not closed",
        ),
        (
            b"---\nname: s\ndescription: d\n  ---\n".to_vec(),
            "is not closed",
        ),
        (
            b"---\nname: [s\n---\nb".to_vec(),
            "skipped: the front matter is not YAML: line ",
        ),
        (b"---\njust words\n---\nb".to_vec(), "is not YAML"),
        (b"---\n- a\n---\nb".to_vec(), "is not YAML"),
        (
            b"---\nname: s\nname: t\ndescription: d\n---\nb".to_vec(),
            "is not YAML: line 3: duplicate",
        ),
        (b"---\n---\nb".to_vec(), "`description` is missing or blank"),
        (
            b"---\nname: s\ndescription: \xff\n---\nb".to_vec(),
            "SKILL.md is not UTF-8, at byte 25",
        ),
        (huge, "SKILL.md has more than 262144 bytes"),
        (just_too_long.into(), "SKILL.md has more than 262144 bytes"),
        (
            format!("---\nname: s\ndescription: d\n{bomb}\n---\nb").into(),
            "is not YAML",
        ),
        (
            format!("---\nname: s\ndescription: d\n{deep}\n---\nb").into(),
            "is not YAML",
        ),
    ];
    for (bytes, told) in cases {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let yard = Yard::with("s", bytes);
        yard.put("good/SKILL.md", skill_md("good", "d", "b"));
        let skills = yard.skills();
        let names: Vec<_> = skills.iter().map(|skill| skill.name()).collect();
        assert_eq!(names, ["good"], "{start}");
        let diagnostics = skills.diagnostics();
        assert_eq!(diagnostics.len(), 1, "{start}: {diagnostics:?}");
        assert_eq!(diagnostics[0].level, Level::Error, "{start}");
        assert!(
            diagnostics[0].text.contains(told),
            "{start}: {diagnostics:?}"
        );
        assert!(!diagnostics[0].text.contains('\n'), "{diagnostics:?}");
        assert_eq!(
            strict(&yard, "s").iter().map(Fault::strict).max(),
            Some(Level::Error)
        );
    }
}

#[test]
fn skill_toml_is_read_as_the_upstream_system_writes_it() {
    let upstream = "[skill]\nname = \"s\"\ndescription = \"d\"\nuser_invocable = false\nprompts = [\"one\", \"two\"]\n\
                    \n[[tools]]\nname = \"t\"\nkind = \"shell\"\ncommand = \"true\"\n";
    let flat = "name = \"s\"\ndescription = \"d\"\nuser-invocable = false\ninstructions = \"\"\"\none\n\ntwo\n\"\"\"\n\
                \n[[tools]]\nname = \"t\"\ncommand = \"true\"\n";
    for text in [upstream, flat] {
        let yard = Yard::new();
        yard.put("s/SKILL.toml", text);
        let (skill, diagnostics) = yard.only();
        assert_eq!(diagnostics, [], "{text}");
        let skill = skill.unwrap();
        assert_eq!(skill.body(), "one\n\ntwo");
        assert!(!skill.manifest().user_invocable);
        assert_eq!(skill.manifest().commands[0].name, "t");
        assert_eq!(skill.manifest().commands[0].kind, "shell");
        // The text beside it is the better one, with front matter and without.
        for beside in ["from the file", "---\nname: other\n---\nfrom the file"] {
            yard.put("s/SKILL.md", beside);
            let skill = yard.only().0.unwrap();
            assert_eq!((skill.name(), skill.body()), ("s", "from the file"));
        }
    }
    for (text, told) in [
        ("name = ", "SKILL.toml is not TOML: line 1: "),
        ("[skill]\nname = \"s\"", "`description` is missing"),
        ("skill = 7", "`skill` must be a table"),
        (
            "name = \"s\"\nname = \"t\"",
            "is not TOML: line 2: duplicate key",
        ),
    ] {
        let yard = Yard::new();
        yard.put("s/SKILL.toml", text);
        let (skill, diagnostics) = yard.only();
        assert!(skill.is_none(), "{text}");
        assert!(
            diagnostics[0].text.contains(told),
            "{text}: {diagnostics:?}"
        );
    }
}

#[test]
fn a_body_is_advised_to_be_there_and_to_be_short() {
    let cases = [
        (String::new(), Some(Fault::BodyEmpty)),
        ("x\n".repeat(500), None),
        ("x\n".repeat(501), Some(Fault::BodyLong(501))),
    ];
    for (body, fault) in cases {
        let yard = Yard::with("s", skill_md("s", "d", &body));
        assert_eq!(strict(&yard, "s"), Vec::from_iter(fault));
        assert!(yard.only().0.is_some());
    }
}

#[test]
fn what_is_missing_on_the_machine_is_named() {
    let structure = r#"{"requires":{"bins":["op-missing"],"env":["KEY_MISSING"],"anyBins":["a-missing","b-missing"]},"os":["darwin"]}"#;
    let fields = [
        format!("metadata: {{\"openclaw\":{structure}}}"),
        format!("metadata:\n  nanobot: '{structure}'"),
        format!("metadata: '{{\"anything\":{structure}}}'"),
        format!(
            "metadata:\n  {{\n    \"openclaw\":\n      {},\n  }}",
            structure.replace("],", "],\n        ")
        ),
    ];
    for field in fields {
        let yard = Yard::with(
            "s",
            format!("---\nname: s\ndescription: d\n{field}\n---\nb"),
        );
        let (skill, diagnostics) = yard.only();
        let skill = skill.unwrap_or_else(|| panic!("{field}: {diagnostics:?}"));
        assert_eq!(
            skill.missing(),
            [
                "the program `op-missing` is not installed",
                "none of `a-missing`, `b-missing` is installed",
                "the environment variable `KEY_MISSING` is not set",
                "it is for darwin only",
            ],
            "{field}"
        );
        assert!(!skill.is_for_model());
        assert_eq!(diagnostics[0].level, Level::Note);
        assert!(
            skill
                .render("")
                .contains("Not available here: the program `op-missing`")
        );
    }
}
