//! Text files looked at line by line.

use std::path::{Component, Path};
use std::sync::LazyLock;

use regex::Regex;

use super::super::fault::Level;
use super::Walk;
use super::patterns::{COMMANDS, PHRASES};

/// Looks at one text file.
pub(super) fn look(walk: &mut Walk, name: &str, content: &str) {
    let kind = Kind::of(name, content);
    if let Kind::Script(language) = kind {
        let calls = called_programs(content);
        let text = if calls.is_empty() {
            format!("is a script ({language})")
        } else {
            format!("is a script ({language}); calls {}", calls.join(", "))
        };
        walk.add(Level::Note, name, None, text);
    }
    let mut is_in_fence = false;
    let mut hidden = Hidden::default();
    for (index, line) in content.lines().enumerate() {
        let number = Some(index + 1);
        let is_fence = kind == Kind::Markdown && is_fence(line);
        if is_fence {
            is_in_fence = !is_in_fence;
        }
        hidden.look(walk, name, index + 1, line);
        // Nothing that is written by people is so long.
        let line = start(line);
        let would_run = kind.would_run() || is_in_fence;
        for pattern in COMMANDS.iter() {
            if pattern.level == Level::Note && !would_run
                || !pattern.regex.is_match(line.as_bytes())
            {
                continue;
            }
            // What prose speaks of is not run, but a model might.
            let level = if would_run {
                pattern.level
            } else {
                pattern.level.min(Level::Warning)
            };
            walk.add(level, name, number, pattern.text);
        }
        if kind != Kind::Markdown && kind != Kind::Other {
            continue;
        }
        for phrase in PHRASES
            .iter()
            .filter(|phrase| phrase.regex.is_match(line.as_bytes()))
        {
            walk.add(phrase.level, name, number, phrase.text);
        }
        if kind == Kind::Markdown && !is_in_fence {
            links(walk, name, index + 1, line);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Markdown,
    Script(&'static str),
    /// SKILL.toml, whose commands are run.
    Manifest,
    Other,
}

impl Kind {
    fn of(name: &str, content: &str) -> Self {
        let path = Path::new(name);
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let by_name = SCRIPTS.iter().find(|(known, _)| *known == extension);
        if let Some((_, language)) = by_name {
            return Self::Script(language);
        }
        if name == "SKILL.toml" {
            return Self::Manifest;
        }
        if matches!(extension.as_ref(), "md" | "markdown" | "mdx") {
            return Self::Markdown;
        }
        if content.starts_with("#!") {
            return Self::Script("with a `#!` line");
        }
        Self::Other
    }

    fn would_run(self) -> bool {
        match self {
            Self::Script(_) | Self::Manifest => true,
            Self::Markdown | Self::Other => false,
        }
    }
}

fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

fn start(line: &str) -> &str {
    let mut end = LINE_BYTES_MAX.min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default()
}

/// What of note a script calls, in the order of the table.
fn called_programs(content: &str) -> Vec<&'static str> {
    let is_called = |name: &&str| {
        content.match_indices(name).any(|(at, found)| {
            let before = content.get(..at).and_then(|text| text.chars().next_back());
            let after = content
                .get(at + found.len()..)
                .and_then(|text| text.chars().next());
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !is_word(before) && !is_word(after)
        })
    };
    CALLS.iter().copied().filter(is_called).collect()
}

/// Characters that people do not see and models do.
#[derive(Default)]
struct Hidden {
    /// One word a file is enough.
    has_told_zero_width: bool,
}

impl Hidden {
    fn look(&mut self, walk: &mut Walk, name: &str, number: usize, line: &str) {
        if line.is_ascii() {
            return;
        }
        let line = if number == 1 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        if let Some(found) = line.chars().find(|c| is_direction(*c)) {
            let text = format!(
                "has the hidden character U+{:04X}, which turns the direction of text around: what \
                 is seen is not what is read",
                u32::from(found)
            );
            walk.add(Level::Error, name, Some(number), text);
        }
        // Flags of England, Scotland and Wales are written with them.
        let without_flags = line.replace('\u{1f3f4}', "");
        let has_flag = without_flags.len() != line.len();
        if !has_flag
            && line
                .chars()
                .any(|c| ('\u{e0000}'..='\u{e007f}').contains(&c))
        {
            let text = "has hidden text (tag characters), which a model can read and people can't";
            walk.add(Level::Error, name, Some(number), text);
        }
        let zero_width = line.chars().find(|c| is_zero_width(*c));
        if let Some(found) = zero_width.filter(|_| !self.has_told_zero_width) {
            self.has_told_zero_width = true;
            let text = format!("has the invisible character U+{:04X}", u32::from(found));
            walk.add(Level::Warning, name, Some(number), text);
        }
    }
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Without the joiners, which emoji and several scripts need.
fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{00ad}'
        | '\u{e0100}'..='\u{e01ef}')
}

/// Links that leave the skill, or lead to nothing.
fn links(walk: &mut Walk, name: &str, number: usize, line: &str) {
    static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\]\([ \t]*<?([^) \t>]+)|^ {0,3}\[[^\]]+\]:[ \t]*<?([^ \t>]+)").ok()
    });
    let Some(regex) = LINK.as_ref() else {
        return;
    };
    for found in regex.captures_iter(line) {
        let Some(target) = found.get(1).or_else(|| found.get(2)) else {
            continue;
        };
        let target = target.as_str();
        let path = target.split(['#', '?']).next().unwrap_or_default();
        let scheme = target.split_once(':').map(|(scheme, _)| scheme);
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("file")) || leaves(name, path) {
            let text = format!("links to {target:?}, which is outside of the skill");
            walk.add(Level::Error, name, Some(number), text);
        } else if scheme.is_none() && !path.is_empty() && is_path(path) {
            let beside = Path::new(name)
                .parent()
                .unwrap_or_else(|| Path::new(""))
                .join(path);
            // Paths are written from the file or from the skill's root.
            if !walk.root.join(&beside).exists() && !walk.root.join(path).exists() {
                let text = format!("links to {target:?}, which is not there");
                walk.add(Level::Warning, name, Some(number), text);
            }
        }
    }
}

/// Whether a relative target climbs out of the skill, or an absolute one is none of it.
fn leaves(name: &str, target: &str) -> bool {
    if target.starts_with('/') || target.starts_with("~/") {
        return true;
    }
    if target.contains(':') {
        return false;
    }
    let beside = Path::new(name)
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(target);
    let mut depth = 0_i32;
    for component in beside.components() {
        match component {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// Rather than a placeholder or an example's `...`.
fn is_path(target: &str) -> bool {
    target.contains('.')
        && !target.starts_with("...")
        && target
            .chars()
            .all(|c| c.is_alphanumeric() || "._-/%+ ".contains(c))
}

/// Bytes of one line that are searched; minified code has longer ones.
const LINE_BYTES_MAX: usize = 16 << 10;

const SCRIPTS: [(&str, &str); 15] = [
    ("bash", "shell"),
    ("bat", "Windows"),
    ("cjs", "JavaScript"),
    ("fish", "shell"),
    ("js", "JavaScript"),
    ("lua", "Lua"),
    ("mjs", "JavaScript"),
    ("php", "PHP"),
    ("pl", "Perl"),
    ("ps1", "PowerShell"),
    ("py", "Python"),
    ("rb", "Ruby"),
    ("sh", "shell"),
    ("ts", "TypeScript"),
    ("zsh", "shell"),
];

/// Programs and modules that reach out of a script.
const CALLS: [&str; 30] = [
    "apt-get",
    "aws",
    "base64",
    "brew",
    "child_process",
    "chmod",
    "chown",
    "crontab",
    "ctypes",
    "curl",
    "docker",
    "eval",
    "exec",
    "fetch",
    "gh",
    "git",
    "kubectl",
    "nc",
    "npm",
    "npx",
    "os.system",
    "pip",
    "requests",
    "rm",
    "scp",
    "socket",
    "ssh",
    "subprocess",
    "urllib",
    "wget",
];
