use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{either, intent, workspace};
use crate::tool::arguments::parse;
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};

/// `edit_file`: one text for another.
#[derive(Clone, Copy, Debug, Default)]
pub struct EditFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    old: String,
    new: String,
    #[serde(default)]
    all: bool,
}

impl Tool for EditFile {
    fn name(&self) -> &'static str {
        "edit_file"
    }

    fn description(&self) -> &'static str {
        "Replace a piece of text in a file of the workspace by another. The old text must be \
         exactly as it stands in the file, with its spaces and line ends, and must occur once: \
         take in the lines around it until it does. With all, every occurrence is replaced."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Relative to the workspace's root"},
                "old": {"type": "string", "description": "The text to replace, exactly as read_file shows it"},
                "new": {"type": "string", "description": "The text that takes its place; empty removes it"},
                "all": {"type": "boolean", "description": "Replace every occurrence; default false"},
            },
            "required": ["path", "old", "new"],
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        intent("edit", arguments, context)
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(edit(arguments, context).await) }.boxed()
    }
}

async fn edit(arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
    let arguments: Arguments = parse(arguments)?;
    workspace(context)?
        .blocking(move |workspace| {
            let path = &arguments.path;
            let bytes = workspace.read(path, EDITED_BYTES_MAX)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                ToolOutput::error(format!(
                    "Error: {path} is not a UTF-8 text, so it can't be edited."
                ))
            })?;
            let (text, times) = replace(&text, &arguments)?;
            workspace.write(path, text.as_bytes())?;
            Ok(ToolOutput::ok(format!(
                "Replaced {times} occurrence{} in {path}.",
                if times == 1 { "" } else { "s" }
            )))
        })
        .await
}

/// The new text, and how often something was replaced in it.
fn replace(text: &str, arguments: &Arguments) -> Result<(String, usize), ToolOutput> {
    let Arguments { path, old, new, .. } = arguments;
    let refuse = |why: String| {
        Err(ToolOutput::error(format!(
            "Error: nothing was changed: {why}"
        )))
    };
    if old.is_empty() {
        return refuse("the old text is empty. Use write_file to make a file".into());
    }
    if old == new {
        return refuse("the old and the new text are the same".into());
    }
    // Models write plain line ends, whatever the file has.
    let (old, new) = if text.contains("\r\n") && !old.contains('\r') && !text.contains(old.as_str())
    {
        (old.replace('\n', "\r\n"), new.replace('\n', "\r\n"))
    } else {
        (old.clone(), new.clone())
    };
    let times = text.matches(&old).count();
    match times {
        0 => refuse(format!(
            "the old text is not in {path}. Read the file and copy the text exactly"
        )),
        1 => Ok((text.replacen(&old, &new, 1), 1)),
        _ if arguments.all => Ok((text.replace(&old, &new), times)),
        _ => refuse(format!(
            "the old text occurs {times} times in {path}. Take in more of the lines around it, \
             or set all to replace each"
        )),
    }
}

/// Two copies of it are held at a time.
const EDITED_BYTES_MAX: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_replaced() {
        let cases = [
            ("a b a", "b", "c", false, Ok(("a c a", 1))),
            ("a b a", "a", "c", true, Ok(("c b c", 2))),
            ("a b a", "a", "c", false, Err("occurs 2 times")),
            ("a b a", "x", "c", true, Err("is not in f")),
            ("a", "", "c", false, Err("is empty")),
            ("a", "a", "a", false, Err("are the same")),
            ("a", "a", "", false, Ok(("", 1))),
            ("a\r\nb\r\n", "a\nb", "c\nd", false, Ok(("c\r\nd\r\n", 1))),
            ("$1", "$1", "$0", false, Ok(("$0", 1))),
        ];
        for (text, old, new, all, expected) in cases {
            let arguments = Arguments {
                path: "f".into(),
                old: old.into(),
                new: new.into(),
                all,
            };
            match (replace(text, &arguments), expected) {
                (Ok((text, times)), Ok(expected)) => assert_eq!((text.as_str(), times), expected),
                (Err(output), Err(why)) => {
                    assert!(
                        output.is_error && output.content.contains(why),
                        "{output:?}"
                    );
                }
                (replaced, _) => panic!("{text:?} {old:?}: {replaced:?}"),
            }
        }
    }
}
