//! Skills as other products write them, unchanged: by their front matter, their files and their
//! placeholders.

use std::path::Path;

use xiaoo_agent::skill::{audit, check};
use xiaoo_agent::{Origin, SkillLimits, SkillRegistry, SkillRoot, Skills};

use crate::yard::bare_host;

fn fixtures() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/skills/fixtures"
    ))
}

fn registry() -> SkillRegistry {
    let root = SkillRoot {
        origin: Origin::Configured,
        path: fixtures().to_path_buf(),
    };
    SkillRegistry::new(vec![root], SkillLimits::default())
}

/// With the directory's own path taken out.
fn rendered(skills: &Skills, name: &str, args: &str) -> String {
    let skill = skills.get(name).unwrap();
    let directory = skill.directory().display().to_string();
    skill.render(args).replace(&directory, "DIR")
}

#[test]
fn all_of_them_load_and_are_offered() {
    let skills = registry().snapshot();
    let listed: Vec<_> = skills
        .iter()
        .map(|skill| (skill.name(), skill.is_for_model()))
        .collect();
    assert_eq!(
        listed,
        [
            ("incident-report", true),
            ("meeting-minutes", true),
            ("river-level", true),
            // Its author keeps it for people.
            ("tidy-commits", false),
        ],
        "{:?}",
        skills.diagnostics()
    );
    let catalogue = skills.catalogue(10_000).unwrap();
    assert!(
        catalogue.contains("somebody asks for minutes, a protocol, 会议纪要"),
        "{catalogue}"
    );
}

#[test]
fn the_open_formats_own_shape_with_references_and_scripts() {
    let skills = registry().snapshot();
    let text = rendered(&skills, "meeting-minutes", "");
    assert!(
        text.starts_with("<skill name=\"meeting-minutes\" directory=\"DIR\">\n# Meeting minutes\n"),
        "{text}"
    );
    // A table and a rule in the body are part of it.
    assert!(
        text.contains("\n---\n\nA line of three hyphens in the body"),
        "{text}"
    );
    let files = "<skill_files>\nLICENSE.txt\nassets/decisions.csv\nreferences/layouts.md\n\
                 scripts/count_words.py\n</skill_files>\n</skill>";
    assert!(text.ends_with(files), "{text}");
    let checked = check(&fixtures().join("meeting-minutes"), 1 << 20).unwrap();
    assert_eq!(checked.faults, []);
}

#[test]
fn the_shape_with_json_in_its_metadata_and_a_base_directory() {
    let skills = registry().snapshot();
    let text = rendered(&skills, "river-level", "");
    // A shell's and awk's own dollars survive.
    assert!(
        text.contains("sh DIR/scripts/level.sh \"$STATION\" | awk '{print $2}'"),
        "{text}"
    );

    let lacking = registry().on(bare_host()).snapshot();
    let skill = lacking.get("river-level").unwrap();
    assert!(!skill.is_for_model());
    assert_eq!(
        skill.missing(),
        [
            "the program `sh` is not installed",
            "none of `curl`, `wget`, `sh` is installed"
        ]
    );
    assert!(!lacking.catalogue(10_000).unwrap().contains("river-level"));
}

#[test]
fn the_upstream_systems_shape_with_a_manifest_and_a_text_beside_it() {
    let skills = registry().snapshot();
    let call = skills
        .invocation("/incident-report billing 数据库 连接 耗尽")
        .unwrap();
    let directory = call.skill.directory().display().to_string();
    let text = call.skill.render(&call.args).replace(&directory, "DIR");
    assert_eq!(
        text,
        "<skill name=\"incident-report\" directory=\"DIR\">\n\
         Write the report about billing: 数据库 连接 耗尽\n\n\
         Fill in templates/report.md, one section after the other. Times are in UTC+8.\n\
         <skill_commands>\n\
         recent-errors (shell): journalctl -u $service --priority=err -n 50 --no-pager - The service's last \
         errors; service: the unit's name\n\
         </skill_commands>\n\
         <skill_files>\ntemplates/report.md\n</skill_files>\n</skill>"
    );
}

#[test]
fn the_shape_of_a_command_for_people() {
    let skills = registry().snapshot();
    let text = rendered(&skills, "tidy-commits", "main..HEAD");
    assert!(
        text.contains("the commits of main..HEAD and propose"),
        "{text}"
    );
    assert!(text.contains("of the range is main..HEAD.\n"), "{text}");
    assert!(text.contains("work: DIR/notes.md"), "{text}");
    let tools = skills
        .get("tidy-commits")
        .unwrap()
        .manifest()
        .allowed_tools
        .clone();
    assert_eq!(
        tools.unwrap(),
        ["Bash(git log:*)", "Bash(git rebase:*)", "Read"]
    );
}

#[test]
fn none_of_them_is_refused_by_the_audit() {
    for name in [
        "incident-report",
        "meeting-minutes",
        "river-level",
        "tidy-commits",
    ] {
        let found = audit::audit(&fixtures().join(name)).unwrap();
        assert!(!found.has_errors(), "{name}: {:?}", found.findings);
    }
}
