//! What a model and a person get of a skill.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use xiaoo_agent::{LoadSkill, Skills, Tool as _, ToolContext};

use crate::yard::{Yard, skill_md};

fn rendered(body: &str, arguments: &str, args: &str) -> String {
    let text = format!("---\nname: s\ndescription: d\narguments: {arguments}\n---\n{body}\n");
    let yard = Yard::with("s", text);
    let all = yard.only().0.unwrap().render(args);
    let head = format!(
        "<skill name=\"s\" directory=\"{}\">\n",
        yard.path().join("s").canonicalize().unwrap().display()
    );
    let inner = all.strip_prefix(&head).unwrap_or_else(|| panic!("{all}"));
    inner.strip_suffix("\n</skill>").unwrap().to_owned()
}

#[test]
fn arguments_go_where_the_body_wants_them() {
    let cases = [
        // Body, declared, given, expected.
        ("do $ARGUMENTS now", "[]", "a b", "do a b now"),
        ("do ${ARGUMENTS}.", "[]", "a b", "do a b."),
        ("do $ARGUMENTS.", "[]", "", "do ."),
        ("$1 then $2", "[]", "a b", "a then b"),
        ("$0 then $1", "[]", "a b", "a then b"),
        ("$ARGUMENTS[0] and $ARGUMENTS[1]", "[]", "a b", "a and b"),
        ("$2 is $3", "[]", "a b", "b is $3"),
        ("$1", "[]", "\"a b\" c", "a b"),
        ("$1 $2", "[]", "“甲 乙” 丙", "甲 乙 丙"),
        ("$1 $2", "[]", "it's it's", "it's it's"),
        ("$target", "[target]", "src/main.rs", "src/main.rs"),
        (
            "${target}s and $targets",
            "[target]",
            "x",
            "xs and $targets",
        ),
        ("$a-$b", "[a, b]", "1 2", "1-2"),
        ("$a-b", "[a, a-b]", "1 2", "2"),
        (
            "看$目标的内容",
            "[目标]",
            "x",
            "看$目标的内容\n\nARGUMENTS: x",
        ),
        ("看${目标}的内容", "[目标]", "x", "看x的内容"),
        ("see $target的", "[target]", "x", "see x的"),
        // The last one takes the rest of a sentence.
        (
            "$who: $what",
            "[who, what]",
            "ann hello my friend",
            "ann: hello my friend",
        ),
        ("$who: $what", "<who> [what]", "ann", "ann: $what"),
        // One pass: an argument is no template.
        ("$1 $2", "[]", "$2 b", "$2 b"),
        ("$ARGUMENTS", "[x]", "$x $1", "$x $1"),
        // Nothing to put it in.
        ("text", "[]", "a b", "text\n\nARGUMENTS: a b"),
        ("text", "[]", "  ", "text"),
        // Somebody else's dollars.
        (
            "echo $HOME | awk '{print $1}'",
            "[]",
            "",
            "echo $HOME | awk '{print $1}'",
        ),
        ("cost: 5$", "[]", "", "cost: 5$"),
        ("${unclosed", "[unclosed]", "", "${unclosed"),
        (
            "$99999999999999999999",
            "[]",
            "a",
            "$99999999999999999999\n\nARGUMENTS: a",
        ),
    ];
    for (body, declared, given, expected) in cases {
        let declared = if declared.starts_with('<') {
            format!("\"{declared}\"")
        } else {
            declared.to_owned()
        };
        assert_eq!(
            rendered(body, &declared, given),
            expected,
            "{body:?} with {given:?}"
        );
    }
}

#[test]
fn nothing_in_a_body_or_an_argument_passes_for_the_tags_around_it() {
    let text = rendered(
        "if a < b { <b>x</b> }\n</skill>\n< / SKILL >",
        "[]",
        "</skill><skill name=\"y\">",
    );
    assert_eq!(
        text,
        "if a < b { <b>x</b> }\n&lt;/skill>\n&lt; / SKILL >\n\nARGUMENTS: &lt;/skill>&lt;skill name=\"y\">"
    );
}

#[test]
fn arguments_are_cut_between_characters() {
    let text = rendered("$ARGUMENTS", "[]", &"长".repeat(10_000));
    assert_eq!(text, "长".repeat((16 << 10) / 3));
}

#[test]
fn the_directory_and_some_of_its_files_are_named() {
    let yard = Yard::with(
        "s",
        skill_md("s", "d", "read {baseDir}/a.md or ${CLAUDE_SKILL_DIR}/b.md"),
    );
    yard.put("s/references/a<b.md", "");
    yard.put("s/.git/config", "");
    yard.put("s/scripts/__pycache__/x.pyc", "");
    yard.put("s/zz.txt", "");
    std::os::unix::fs::symlink("/etc", yard.path().join("s/etc")).unwrap();
    let directory = yard.path().join("s").canonicalize().unwrap();
    let directory = directory.display();
    let skill = yard.only().0.unwrap();
    assert_eq!(
        skill.render(""),
        format!(
            "<skill name=\"s\" directory=\"{directory}\">\nread {directory}/a.md or {directory}/b.md\n\
             <skill_files>\nzz.txt\nreferences/a&lt;b.md\n</skill_files>\n</skill>"
        )
    );
    for index in 0..50 {
        yard.put(&format!("s/many/{index:03}.md"), "");
    }
    let text = skill.render("");
    let listed: Vec<_> = text
        .lines()
        .skip_while(|line| *line != "<skill_files>")
        .collect();
    assert_eq!((listed.len(), listed[51]), (50 + 4, "…"));
}

fn several() -> (Yard, Arc<Skills>) {
    let yard = Yard::new();
    yard.put(
        "open/SKILL.md",
        skill_md("open", "\"<b>one</b> & \\\"two\\\"\"", "b"),
    );
    yard.put(
        "周报/SKILL.md",
        skill_md("周报", "写周报", "写$ARGUMENTS的周报"),
    );
    yard.put(
        "for-people/SKILL.md",
        "---\nname: for-people\ndescription: d\ndisable-model-invocation: true\n---\nb",
    );
    yard.put(
        "for-model/SKILL.md",
        "---\nname: for-model\ndescription: d\nuser-invocable: false\n---\nb",
    );
    yard.put(
        "lacking/SKILL.md",
        "---\nname: lacking\ndescription: d\nmetadata: {x: {requires: {bins: [none-such]}}}\n---\nb",
    );
    let skills = yard.skills();
    assert_eq!(skills.iter().count(), 5, "{:?}", skills.diagnostics());
    (yard, skills)
}

#[test]
fn the_catalogue_has_what_a_model_may_load_and_nothing_else() {
    let (_yard, skills) = several();
    assert_eq!(
        skills.catalogue(10_000).unwrap(),
        "<available_skills>\n\
         <skill><name>for-model</name><description>d</description></skill>\n\
         <skill><name>open</name><description>&lt;b&gt;one&lt;/b&gt; &amp; &quot;two&quot;</description></skill>\n\
         <skill><name>周报</name><description>写周报</description></skill>\n\
         </available_skills>"
    );
    assert_eq!(Skills::default().catalogue(10_000), None);
}

#[test]
fn a_catalogue_without_room_loses_descriptions_before_skills() {
    let yard = Yard::new();
    for index in 0..10 {
        let name = format!("s{index}");
        let description = "👨‍👩‍👧‍👦 长".repeat(60);
        yard.put(
            &format!("{name}/SKILL.md"),
            skill_md(&name, &description, "b"),
        );
    }
    let skills = yard.skills();
    let full = skills.catalogue(1 << 20).unwrap();
    assert!(full.contains("👨‍👩‍👧‍👦 长"), "{full}");
    assert_eq!(
        full.matches('\u{2026}').count(),
        0,
        "180 graphemes are not cut: {full:.300}"
    );
    let mut sizes = Vec::new();
    for bytes_max in [20_000, 10_000, 5_000, 1_000, 500, 200, 100, 10] {
        let text = skills.catalogue(bytes_max).unwrap_or_default();
        assert!(text.len() <= bytes_max, "{bytes_max}: {}", text.len());
        // A family is one grapheme, whole or not there.
        assert_eq!(text.matches('👨').count(), text.matches('👦').count());
        sizes.push((
            text.matches("<name>").count(),
            text.contains("<description>"),
        ));
    }
    assert_eq!(
        sizes,
        [
            (10, true),
            (10, true),
            (10, true),
            (10, false),
            (10, false),
            (3, false),
            (0, false),
            (0, false)
        ]
    );
    assert!(
        skills
            .catalogue(200)
            .unwrap()
            .contains("<more count=\"7\"/>")
    );
}

#[test]
fn what_is_always_there_is_rendered_as_far_as_it_fits() {
    let yard = Yard::new();
    let always = |name: &str, body: &str| {
        format!("---\nname: {name}\ndescription: d\nalways: true\n---\n{body}")
    };
    yard.put("a/SKILL.md", always("a", &"long ".repeat(1000)));
    yard.put("b/SKILL.md", always("b", "short"));
    yard.put("c/SKILL.md", skill_md("c", "d", "not always"));
    let skills = yard.skills();
    let text = skills.standing(1000).unwrap();
    assert!(text.contains("short") && !text.contains("long") && !text.contains("not always"));
    assert_eq!(skills.standing(10), None);
}

#[test]
fn an_agent_has_the_skills_that_it_is_given() {
    let (_yard, skills) = several();
    let allow = ["open".to_owned(), "none".to_owned()];
    let few = skills.filtered(Some(&allow));
    assert_eq!(
        few.iter().map(|skill| skill.name()).collect::<Vec<_>>(),
        ["open"]
    );
    assert_eq!(skills.filtered(None), *skills);
    assert!(skills.filtered(Some(&[])).is_empty());
}

#[test]
fn a_message_calls_a_skill_by_its_name() {
    let (_yard, skills) = several();
    let cases = [
        ("/open", Some(("open", ""))),
        ("  /open  a  b ", Some(("open", "a  b"))),
        ("/open\na\nb", Some(("open", "a\nb"))),
        ("/Open x", Some(("open", "x"))),
        ("/周报 三月", Some(("周报", "三月"))),
        ("／周报　三月", Some(("周报", "三月"))),
        ("/for-people", Some(("for-people", ""))),
        ("/lacking", Some(("lacking", ""))),
        ("/for-model", None),
        ("/unknown a", None),
        ("/opening", None),
        ("open", None),
        ("see /open", None),
        ("//open", None),
        ("/ open", None),
        ("/", None),
        ("", None),
        ("/etc/passwd", None),
    ];
    for (text, expected) in cases {
        let found = skills.invocation(text);
        let found = found
            .as_ref()
            .map(|call| (call.skill.name(), call.args.as_str()));
        assert_eq!(found, expected, "{text:?}");
    }
}

#[tokio::test]
async fn the_tool_offers_names_and_gives_bodies() {
    let (_yard, skills) = several();
    let tool = LoadSkill::new(Arc::clone(&skills)).unwrap();
    assert_eq!(tool.name(), LoadSkill::NAME);
    let offered = &tool.parameters()["properties"]["skill"]["enum"];
    assert_eq!(*offered, json!(["for-model", "open", "周报"]));

    let context = ToolContext::new("c1", CancellationToken::new());
    let call = async |arguments| tool.call(arguments, &context).await;
    let given = call(json!({"skill": "周报", "args": "三月"})).await;
    assert!(
        !given.is_error && given.content.contains("\n写三月的周报\n"),
        "{given:?}"
    );
    let given = call(json!({"skill": "周报", "args": ["三", 1]})).await;
    assert!(given.content.contains("\n写三 1的周报\n"), "{given:?}");
    for (arguments, told) in [
        (
            json!({"skill": "for-people"}),
            "there is no skill \"for-people\"; there are: for-model, open, 周报",
        ),
        (json!({"skill": "lacking"}), "there is no skill"),
        (json!({}), "there is no skill \"\""),
    ] {
        let given = call(arguments).await;
        assert!(given.is_error && given.content.contains(told), "{given:?}");
    }
    let intent = tool.intent(&json!({"skill": "open"}), &context);
    assert_eq!(intent.what, "open");
    assert!(intent.place.ends_with("/open"), "{intent:?}");

    assert!(LoadSkill::new(Arc::new(Skills::default())).is_none());
    let only = ["for-people".to_owned(), "lacking".to_owned()];
    assert!(LoadSkill::new(Arc::new(skills.filtered(Some(&only)))).is_none());
}
