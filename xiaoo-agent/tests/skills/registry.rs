//! The four levels, links, and what changes on disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use xiaoo_agent::skill::Level;
use xiaoo_agent::{Origin, SkillLimits, SkillRegistry, SkillRoot, Skills};

use crate::yard::{Yard, bare_host, eager, skill_md};

fn names(skills: &Skills) -> Vec<&str> {
    skills.iter().map(|skill| skill.name()).collect()
}

#[test]
fn there_are_four_levels_and_the_first_of_a_name_wins() {
    let dirs = [PathBuf::from("/a"), PathBuf::from("/b")];
    let levels = SkillRoot::levels(Some(Path::new("/w")), &dirs, Some(Path::new("/h")));
    let levels: Vec<_> = levels
        .iter()
        .map(|root| (root.origin, root.path.to_str().unwrap()))
        .collect();
    assert_eq!(
        levels,
        [
            (Origin::Workspace, "/w/.xiaoo/skills"),
            (Origin::Configured, "/a"),
            (Origin::Configured, "/b"),
            (Origin::User, "/h/.xiaoo/skills"),
            (Origin::System, "/usr/lib/.xiaoo/skills"),
        ]
    );
    let same = SkillRoot::levels(Some(Path::new("/h")), &[], Some(Path::new("/h")));
    assert_eq!(same.len(), 2);

    let (first, second) = (Yard::new(), Yard::new());
    first.put("twice/SKILL.md", skill_md("twice", "the first", "b"));
    second.put("twice/SKILL.md", skill_md("twice", "the second", "b"));
    second.put("once/SKILL.md", skill_md("once", "d", "b"));
    let roots = vec![
        SkillRoot {
            origin: Origin::Workspace,
            path: first.path().to_path_buf(),
        },
        second.root(),
    ];
    let skills = SkillRegistry::new(roots, eager()).snapshot();
    assert_eq!(names(&skills), ["once", "twice"]);
    let twice = skills.get("twice").unwrap();
    assert_eq!(twice.manifest().description, "the first");
    assert_eq!(twice.origin(), Origin::Workspace);
    let shadowed: Vec<_> = skills.diagnostics().iter().collect();
    assert_eq!(shadowed.len(), 1, "{shadowed:?}");
    assert_eq!(shadowed[0].path, second.path().join("twice"));
    assert!(shadowed[0].text.starts_with("not used: "), "{shadowed:?}");
}

#[test]
fn only_direct_children_are_skills() {
    let yard = Yard::with("here", skill_md("here", "d", "b"));
    yard.put("deep/er/SKILL.md", skill_md("er", "d", "b"));
    yard.put(".hidden/SKILL.md", skill_md("hidden", "d", "b"));
    yard.put("node_modules/SKILL.md", skill_md("node_modules", "d", "b"));
    yard.put("SKILL.md", skill_md("root", "d", "b"));
    yard.put("lower/skill.md", skill_md("lower", "d", "b"));
    let skills = yard.skills();
    assert_eq!(names(&skills), ["here", "lower"]);
    let told: Vec<_> = skills
        .diagnostics()
        .iter()
        .map(|found| (found.level, found.path.clone()))
        .collect();
    assert_eq!(told, [(Level::Note, yard.path().join("deep"))]);
}

#[test]
fn links_that_lead_out_are_refused_and_others_are_followed() {
    let outside = Yard::with("far", skill_md("far", "d", "b"));
    let secret = outside.put("secret.md", skill_md("secret", "d", "top secret"));
    let yard = Yard::with("near", skill_md("near", "d", "b"));
    symlink(outside.path().join("far"), yard.path().join("far")).unwrap();
    symlink("near", yard.path().join("also-near")).unwrap();
    fs::create_dir(yard.path().join("secret")).unwrap();
    symlink(&secret, yard.path().join("secret/SKILL.md")).unwrap();
    fs::create_dir(yard.path().join("passwords")).unwrap();
    symlink("/etc/passwd", yard.path().join("passwords/SKILL.toml")).unwrap();
    fs::create_dir(yard.path().join("climber")).unwrap();
    symlink("../near/SKILL.md", yard.path().join("climber/SKILL.md")).unwrap();
    fs::create_dir(yard.path().join("inside")).unwrap();
    yard.put("inside/real.md", skill_md("inside", "d", "b"));
    symlink("real.md", yard.path().join("inside/SKILL.md")).unwrap();

    let skills = yard.skills();
    assert_eq!(names(&skills), ["inside", "near"]);
    let refused: Vec<_> = skills
        .diagnostics()
        .iter()
        .filter(|found| found.level == Level::Error)
        .map(|found| found.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(refused, ["climber", "far", "passwords", "secret"]);
    for found in skills.diagnostics() {
        assert!(!found.text.contains("top secret"), "{found}");
        if found.level == Level::Error {
            assert!(found.text.contains("leads out of its directory"), "{found}");
        }
    }
    // `also-near` is `near` by another way, so one of them is the other's shadow.
    assert_eq!(
        skills.get("near").unwrap().directory(),
        yard.path().join("near").canonicalize().unwrap()
    );
}

#[test]
fn a_root_may_be_a_link_or_not_be_there() {
    let yard = Yard::with("s", skill_md("s", "d", "b"));
    let place = Yard::new();
    symlink(yard.path(), place.path().join("root")).unwrap();
    let root = |path: PathBuf| SkillRoot {
        origin: Origin::Configured,
        path,
    };
    let roots = vec![
        root(place.path().join("none")),
        root(place.path().join("root")),
    ];
    let skills = SkillRegistry::new(roots, eager()).snapshot();
    assert_eq!(names(&skills), ["s"]);
    assert_eq!(skills.diagnostics(), []);

    let file = place.put("file", "");
    let skills = SkillRegistry::new(vec![root(file.clone())], eager()).snapshot();
    assert_eq!(skills.diagnostics()[0].path, file);
}

#[test]
fn pipes_are_not_waited_for() {
    let yard = Yard::with("good", skill_md("good", "d", "b"));
    fs::create_dir(yard.path().join("pipe")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(yard.path().join("pipe/SKILL.md"))
        .status();
    assert!(made.unwrap().success());
    let skills = yard.skills();
    assert_eq!(names(&skills), ["good"]);
    assert!(skills.diagnostics()[0].text.contains("not a plain file"));
}

#[test]
fn there_are_bounds_and_one_more_is_told() {
    let mut limits = eager();
    limits.skills_max = 2;
    limits.entries_max = 3;
    let yard = Yard::new();
    for name in ["a", "b"] {
        yard.put(&format!("{name}/SKILL.md"), skill_md(name, "d", "b"));
    }
    let registry = SkillRegistry::new(vec![yard.root()], limits);
    assert_eq!(names(&registry.snapshot()), ["a", "b"]);
    assert_eq!(registry.snapshot().diagnostics(), []);

    yard.put("c/SKILL.md", skill_md("c", "d", "b"));
    let skills = registry.snapshot();
    assert_eq!(names(&skills), ["a", "b"]);
    assert!(
        skills.diagnostics()[0]
            .text
            .contains("there are 2 skills already")
    );

    yard.put("d/SKILL.md", skill_md("d", "d", "b"));
    let told: Vec<_> = registry
        .snapshot()
        .diagnostics()
        .iter()
        .map(|found| found.text.clone())
        .collect();
    assert!(told[0].contains("more than 3 entries"), "{told:?}");
}

#[test]
fn what_changes_on_disk_counts_and_a_running_turn_keeps_what_it_has() {
    let yard = Yard::with("s", skill_md("s", "d", "old"));
    let registry = yard.registry();
    let old = registry.snapshot();
    assert_eq!(old.get("s").unwrap().body(), "old");
    // Nothing changed: the very same.
    assert!(Arc::ptr_eq(&old, &registry.snapshot()));

    yard.put("s/SKILL.md", skill_md("s", "d", "new"));
    assert_eq!(registry.snapshot().get("s").unwrap().body(), "new");
    assert_eq!(old.get("s").unwrap().body(), "old");

    yard.put("t/SKILL.md", skill_md("t", "d", "b"));
    assert_eq!(names(&registry.snapshot()), ["s", "t"]);

    fs::rename(yard.path().join("t"), yard.path().join("u")).unwrap();
    let renamed = registry.snapshot();
    assert_eq!(
        renamed.get("t").unwrap().directory(),
        yard.path().join("u").canonicalize().unwrap()
    );

    yard.put("s/SKILL.md", "broken");
    let broken = registry.snapshot();
    assert_eq!(names(&broken), ["t"]);

    fs::remove_dir_all(yard.path().join("u")).unwrap();
    fs::remove_dir_all(yard.path().join("s")).unwrap();
    assert!(registry.snapshot().is_empty());
    // Removed while it is used: its text is still there, its files are not.
    assert!(old.get("s").unwrap().render("").contains("old"));
}

#[test]
fn the_disk_is_left_alone_between_looks() {
    let yard = Yard::with("s", skill_md("s", "d", "old"));
    let mut limits = SkillLimits::default();
    limits.rescan_every = Duration::from_secs(3600);
    let registry = SkillRegistry::new(vec![yard.root()], limits);
    let first = registry.snapshot();
    yard.put("s/SKILL.md", skill_md("s", "d", "new"));
    assert!(Arc::ptr_eq(&first, &registry.snapshot()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_ask_without_blocking_each_other() {
    let yard = Yard::with("s", skill_md("s", "d", "b"));
    let registry = Arc::new(yard.registry());
    assert_eq!(names(&*registry.current().await), ["s"]);
    yard.put("t/SKILL.md", skill_md("t", "d", "b"));
    let asked = (0..20).map(|_| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.current().await })
    });
    for task in asked.collect::<Vec<_>>() {
        let skills = task.await.unwrap();
        // What was known before somebody else's look, or after it.
        assert!([1, 2].contains(&skills.iter().count()));
    }
    assert_eq!(names(&*registry.current().await), ["s", "t"]);
}

#[test]
fn a_program_that_is_installed_later_makes_a_skill_available() {
    let place = Yard::new();
    let yard = Yard::with(
        "s",
        "---\nname: s\ndescription: d\nmetadata: {\"openclaw\":{\"requires\":{\"bins\":[\"tool\"]}}}\n---\nb",
    );
    let mut host = bare_host();
    host.path.push(place.path().to_path_buf());
    let registry = yard.registry().on(host);
    assert!(!registry.snapshot().get("s").unwrap().is_for_model());
    let tool = place.put("tool", "#!/bin/sh\n");
    assert!(!registry.snapshot().get("s").unwrap().is_for_model());
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(registry.snapshot().get("s").unwrap().is_for_model());
}

#[test]
fn what_others_can_change_is_warned_of() {
    for (mode, level) in [
        (0o755, None),
        (0o775, Some(Level::Warning)),
        (0o757, Some(Level::Warning)),
    ] {
        let yard = Yard::with("s", skill_md("s", "d", "b"));
        fs::set_permissions(yard.path().join("s"), fs::Permissions::from_mode(mode)).unwrap();
        yard.put("t/SKILL.md", skill_md("t", "d", "b"));
        let skills = yard.skills();
        assert_eq!(names(&skills), ["s", "t"]);
        let told = skills.diagnostics().iter();
        let told: Vec<_> = told
            .map(|found| (found.level, found.path.as_path()))
            .collect();
        let expected = level.map(|level| (level, yard.path()));
        assert_eq!(told, Vec::from_iter(expected), "{mode:o}");
    }
}
