//! `skill show`.

use std::io::Write;

use anyhow::Result;

use super::{Places, named};
use crate::cli::SkillShowArgs;

/// Writes what a skill says about itself, and its text.
pub(super) fn run(args: &SkillShowArgs, places: &Places, out: &mut impl Write) -> Result<()> {
    let skill = named(&places.skills(), &args.name)?;
    let manifest = skill.manifest();
    let yes_no = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let tools = manifest.allowed_tools.as_ref().map(|tools| tools.join(" "));
    let list = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
    let lines = [
        ("name", Some(manifest.name.clone())),
        ("description", Some(manifest.description.clone())),
        ("level", Some(skill.origin().name().to_owned())),
        ("directory", Some(skill.directory().display().to_string())),
        ("version", manifest.version.clone()),
        ("author", manifest.author.clone()),
        ("tags", list(&manifest.tags)),
        ("license", manifest.license.clone()),
        ("compatibility", manifest.compatibility.clone()),
        ("arguments", list(&manifest.arguments)),
        ("argument hint", manifest.argument_hint.clone()),
        ("allowed tools", tools),
        ("for people", Some(yes_no(manifest.user_invocable))),
        (
            "for the model",
            Some(yes_no(!manifest.disable_model_invocation)),
        ),
        ("not available", list(skill.missing())),
    ];
    for (key, value) in lines {
        if let Some(value) = value {
            writeln!(
                out,
                "{key:<14} {}",
                value.trim().replace('\n', "\n               ")
            )?;
        }
    }
    for (key, value) in &manifest.metadata {
        writeln!(out, "metadata       {key}: {value}")?;
    }
    writeln!(out)?;
    // As the model gets it, so that nothing of it is a surprise.
    writeln!(out, "{}", skill.render(""))?;
    Ok(())
}
