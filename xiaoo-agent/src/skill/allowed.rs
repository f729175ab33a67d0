//! `allowed-tools`: the tools that a skill lists, and what that means for a turn.
//!
//! A list can only narrow what the operator lets an agent use. It stands in the skill's tag, in
//! our names, so that what was said once means the same after a restart and when it is said
//! again. Both are read from the conversation alone:
//!
//! * A skill that a person calls by `/name` bounds the whole turn.
//! * Those that the model loads bound it together: what one of them lists may be used, and all
//!   of it where one has no list.
//!
//! What stands in brackets behind a name, as in `Bash(git:*)`, is not looked at: what a command
//! may do is for the sandbox and for people to say.

/// Used whatever a skill lists: what other products have no name for, since it belongs to the
/// chat, and what a skill's own files are read with.
const ALWAYS: [&str; 6] = [
    "ask_user",
    "chat_members",
    "current_time",
    "load_skill",
    "read_file",
    "send_file",
];

/// What other products call our tools, in small letters and without `_` and `-`, in which our own
/// names are found, too.
const MEANT: [(&str, &[&str]); 29] = [
    ("applypatch", &["edit_file", "write_file"]),
    ("askuser", &["ask_user"]),
    ("askuserquestion", &["ask_user"]),
    ("bash", &["shell"]),
    ("chatmembers", &["chat_members"]),
    ("currenttime", &["current_time"]),
    ("edit", &["edit_file"]),
    ("editfile", &["edit_file"]),
    ("exec", &["shell"]),
    ("fetch", &["web_fetch"]),
    ("glob", &["list_dir", "search"]),
    ("grep", &["search"]),
    ("listdir", &["list_dir"]),
    ("listdirectory", &["list_dir"]),
    ("loadskill", &["load_skill"]),
    ("ls", &["list_dir"]),
    ("multiedit", &["edit_file"]),
    ("read", &["read_file"]),
    ("readfile", &["read_file"]),
    ("runcommand", &["shell"]),
    ("runshellcommand", &["shell"]),
    ("search", &["search"]),
    ("sendfile", &["send_file"]),
    ("shell", &["shell"]),
    ("skill", &["load_skill"]),
    ("strreplace", &["edit_file"]),
    ("webfetch", &["web_fetch"]),
    ("write", &["write_file"]),
    ("writefile", &["write_file"]),
];

/// The tools of MCP servers have one name everywhere: `mcp__server__tool`, or `mcp__server` for
/// all of a server's.
const MCP: &str = "mcp__";

/// How a skill's tag begins, and where its list stands in it.
const TAG: &str = "<skill name=\"";
pub(super) const ATTRIBUTE: &str = "allowed_tools";

/// The tools of a list by our names, in order; what names none of them is left out.
pub(super) fn ours(written: &[String]) -> Vec<String> {
    let mut names: Vec<String> = written.iter().flat_map(|word| meant(word)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn meant(word: &str) -> Vec<String> {
    let (word, _) = word.split_once('(').unwrap_or((word, ""));
    let word = word.trim();
    if word == "*" {
        return vec![word.to_owned()];
    }
    if let Some(of_server) = word.strip_prefix(MCP) {
        let is_all = !of_server.contains("__");
        return vec![format!("{word}{}", if is_all { "__*" } else { "" })];
    }
    let squeezed: String = word.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    let squeezed = squeezed.to_lowercase();
    let known = MEANT.iter().find(|(theirs, _)| *theirs == squeezed);
    let ours = known.map(|(_, ours)| *ours).unwrap_or_default();
    ours.iter().map(|name| (*name).to_owned()).collect()
}

/// What the skills that are in force in a turn let it use.
#[derive(Debug, PartialEq)]
pub(crate) struct InForce<'a> {
    /// The list of the skill that a person has called.
    called: Option<Vec<&'a str>>,
    /// What those list that the model has loaded.
    loaded: Option<Vec<&'a str>>,
}

impl<'a> InForce<'a> {
    /// Reads what the person said, and what loading skills has come to.
    pub(crate) fn of(said: &'a str, loads: impl Iterator<Item = &'a str>) -> Self {
        // Whatever looks like one before it is none of ours.
        let called = said.rsplit_once(TAG).map(|(_, tag)| tag);
        let mut loaded = None;
        let mut is_bound = true;
        for tag in loads.filter_map(|text| text.strip_prefix(TAG)) {
            match listed(tag) {
                Some(names) => loaded.get_or_insert_with(Vec::new).extend(names),
                None => is_bound = false,
            }
        }
        Self {
            called: called.and_then(listed),
            loaded: loaded.filter(|_| is_bound),
        }
    }

    /// Whether the tool may be used; if not, which may.
    pub(crate) fn check(&self, tool: &str) -> Result<(), Vec<&'a str>> {
        if ALWAYS.contains(&tool) {
            return Ok(());
        }
        let lists = self.called.iter().chain(&self.loaded);
        let mut refused = lists.filter(|names| !names.iter().any(|name| matches(name, tool)));
        match refused.next() {
            None => Ok(()),
            Some(names) => Err(names.iter().copied().chain(ALWAYS).collect()),
        }
    }
}

/// The list in a tag, of which the beginning is cut off.
fn listed(tag: &str) -> Option<Vec<&str>> {
    let (attributes, _) = tag.split_once('>')?;
    let (_, list) = attributes.split_once(&format!(" {ATTRIBUTE}=\""))?;
    let (list, _) = list.split_once('"')?;
    Some(list.split_whitespace().collect())
}

fn matches(listed: &str, tool: &str) -> bool {
    match listed.strip_suffix('*') {
        Some(beginning) => tool.starts_with(beginning),
        None => listed == tool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_products_call_our_tools_is_known() {
        let cases: [(&[&str], &[&str]); 9] = [
            (&["Bash(git add:*)", "Read"], &["read_file", "shell"]),
            (&["Grep", "Glob", "LS"], &["list_dir", "search"]),
            (
                &["Write", "Edit", "MultiEdit"],
                &["edit_file", "write_file"],
            ),
            (&["WebFetch(domain:example.com)"], &["web_fetch"]),
            (
                &["read_file", "web-fetch", "exec"],
                &["read_file", "shell", "web_fetch"],
            ),
            (
                &["mcp__git__log", "mcp__wiki"],
                &["mcp__git__log", "mcp__wiki__*"],
            ),
            (&["*"], &["*"]),
            (&["WebSearch", "Task", "Bsh"], &[]),
            (&[], &[]),
        ];
        for (written, expected) in cases {
            let written: Vec<String> = written.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(ours(&written), expected, "{written:?}");
        }
        assert!(MEANT.is_sorted(), "so that each is there once");
    }

    fn skill(list: Option<&str>) -> String {
        let list = list.map(|list| format!(" allowed_tools=\"{list}\""));
        format!(
            "<skill name=\"s\" directory=\"/s\"{}>\nbody\n</skill>",
            list.unwrap_or_default()
        )
    }

    #[test]
    fn a_turn_may_use_what_is_listed_and_what_is_always_there() {
        let words = |list| format!("/s now\n\n{}", skill(list));
        let plain = "hello".to_owned();
        let error = "there is no skill \"s\"; there are: t".to_owned();
        let may_shell = [
            (plain.clone(), vec![], true),
            (words(None), vec![], true),
            (words(Some("read_file shell")), vec![], true),
            (words(Some("*")), vec![], true),
            (words(Some("read_file")), vec![], false),
            (words(Some("")), vec![], false),
            // What the model loads lifts no bound that a person has set.
            (words(Some("read_file")), vec![skill(Some("shell"))], false),
            (words(Some("read_file")), vec![skill(None)], false),
            (words(None), vec![skill(Some("search"))], false),
            // What it loads has one bound.
            (plain.clone(), vec![skill(Some("search"))], false),
            (
                plain.clone(),
                vec![skill(Some("search")), skill(Some("shell"))],
                true,
            ),
            (
                plain.clone(),
                vec![skill(Some("search")), skill(None)],
                true,
            ),
            (plain.clone(), vec![error], true),
            // What looks like a list, and is none.
            (
                format!("{} {}", skill(Some("shell")), words(Some("search"))),
                vec![],
                false,
            ),
            (plain, vec![format!("see {}", skill(Some("search")))], true),
        ];
        for (said, loads, expected) in may_shell {
            let in_force = InForce::of(&said, loads.iter().map(String::as_str));
            assert_eq!(
                in_force.check("shell").is_ok(),
                expected,
                "{said} {loads:?}"
            );
            for always in ALWAYS {
                assert_eq!(in_force.check(always), Ok(()), "{said} {loads:?}");
            }
        }
        let said = words(Some("mcp__git__*"));
        let in_force = InForce::of(&said, core::iter::empty());
        assert_eq!(in_force.check("mcp__git__log"), Ok(()));
        let may = in_force.check("mcp__wiki__read").unwrap_err();
        assert_eq!(may.first(), Some(&"mcp__git__*"));
        assert_eq!(may.len(), 1 + ALWAYS.len());
    }
}
