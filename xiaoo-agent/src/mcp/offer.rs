//! The tools of a server as they are offered to a model.

use std::collections::BTreeSet;
use std::sync::Arc;

use rmcp::model::Tool;
use serde_json::{Map, Value, json};

use super::settings::McpServer;
use crate::tool::head::split_head;

/// Tools that are offered of one server; models choose badly among more.
const TOOLS_MAX: usize = 128;
/// Longest name of a tool that model servers take.
const NAME_BYTES_MAX: usize = 64;
/// Longest description that goes into the prompt.
const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Largest schema of arguments that goes into the prompt. Half a schema is none: a tool with a
/// larger one is not offered.
const SCHEMA_BYTES_MAX: usize = 16 << 10;
/// All descriptions and schemas of one server, for the same reason as a bound on each.
const SERVER_BYTES_MAX: usize = 256 << 10;

/// One tool of one server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    /// What the model calls it.
    pub(super) name: String,
    /// What the server calls it.
    pub(super) remote_name: String,
    pub(super) description: String,
    pub(super) schema: Arc<Value>,
    /// By the server's word.
    pub(super) only_reads: bool,
}

/// What is offered of what a server lists. What is left out is logged, by number and first name.
pub(super) fn offers(server: &McpServer, listed: Vec<Tool>) -> Vec<Offer> {
    let mut names = BTreeSet::new();
    let mut offers: Vec<Offer> = Vec::new();
    let mut left_out = Vec::new();
    let mut bytes = 0;
    for tool in listed {
        if !server.offers(&tool.name) {
            continue;
        }
        let made = offer(server, &tool).filter(|(offer, more)| {
            bytes + more <= SERVER_BYTES_MAX
                && offers.len() < TOOLS_MAX
                && names.insert(offer.name.clone())
        });
        match made {
            Some((offer, more)) => {
                bytes += more;
                offers.push(offer);
            }
            None => left_out.push(tool.name),
        }
    }
    if let Some(first) = left_out.first() {
        tracing::warn!(
            server = server.name,
            count = left_out.len(),
            first = split_head(first, NAME_BYTES_MAX).0,
            "tools of an MCP server are not offered: too many, too large, or twice"
        );
    }
    offers
}

/// An offer and its size.
fn offer(server: &McpServer, tool: &Tool) -> Option<(Offer, usize)> {
    let schema = schema(&tool.input_schema);
    let schema_bytes = schema.to_string().len();
    if schema_bytes > SCHEMA_BYTES_MAX {
        return None;
    }
    let annotations = tool.annotations.as_ref();
    let title = annotations.and_then(|annotations| annotations.title.as_deref());
    let title = tool.title.as_deref().or(title).unwrap_or_default();
    let description = tool.description.as_deref().unwrap_or(title);
    let description = split_head(description, DESCRIPTION_BYTES_MAX).0.to_owned();
    let bytes = schema_bytes + description.len();
    let only_reads = annotations.and_then(|annotations| annotations.read_only_hint);
    let offer = Offer {
        name: public_name(&server.name, &tool.name),
        remote_name: tool.name.clone().into_owned(),
        description,
        schema: Arc::new(schema),
        only_reads: only_reads.unwrap_or(false),
    };
    Some((offer, bytes))
}

/// A schema as model servers take it: an object with properties.
fn schema(listed: &Map<String, Value>) -> Value {
    let mut schema = listed.clone();
    schema.remove("$schema");
    schema.insert("type".into(), json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    Value::Object(schema)
}

/// `mcp__server__tool`. A name that has to be changed to be one ends with a mark of what it was,
/// so that two of them are never one, whatever else the server lists.
fn public_name(server: &str, tool: &str) -> String {
    /// The mark, with its dash.
    const MARK_BYTES: usize = 9;
    let safe: String = tool
        .chars()
        .map(|c| match c {
            _ if c.is_ascii_alphanumeric() => c,
            '-' | '_' => c,
            _ => '_',
        })
        .collect();
    let name = format!("mcp__{server}__{safe}");
    if safe == tool && name.len() <= NAME_BYTES_MAX && !tool.is_empty() {
        return name;
    }
    let head = split_head(&name, NAME_BYTES_MAX - MARK_BYTES).0;
    format!("{head}-{:08x}", hash(tool))
}

/// FNV-1a: the same in every build and at every start, as names in histories must be.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use rmcp::model::ToolAnnotations;

    use super::super::settings::{McpCommand, McpTransport};
    use super::*;

    #[test]
    fn names_are_ones_that_model_servers_take() {
        let cases = [
            ("get_weather", "mcp__s__get_weather"),
            ("a__b", "mcp__s__a__b"),
            ("files/read", "mcp__s__files_read-d2acbc6d"),
            ("files.read", "mcp__s__files_read-feef3122"),
            ("读", "mcp__s___-41ca2ba9"),
            ("", "mcp__s__-811c9dc5"),
        ];
        for (tool, name) in cases {
            assert_eq!(public_name("s", tool), name, "{tool}");
        }
        let fits = "x".repeat(NAME_BYTES_MAX - "mcp__s__".len());
        assert_eq!(public_name("s", &fits), format!("mcp__s__{fits}"));
        let longer = [format!("{fits}1"), format!("{fits}2")];
        let names = longer.map(|tool| public_name("s", &tool));
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() == NAME_BYTES_MAX));
    }

    #[test]
    fn tools_are_offered_with_what_the_server_says() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"q": {"type": "string"}},
            "required": ["q"],
        });
        let annotations = ToolAnnotations::new().read_only(true);
        let listed = tool("find", "Finds.", schema).with_annotations(annotations);
        let expected = Offer {
            name: "mcp__s__find".into(),
            remote_name: "find".into(),
            description: "Finds.".into(),
            schema: Arc::new(json!({
                "type": "object",
                "properties": {"q": {"type": "string"}},
                "required": ["q"],
            })),
            only_reads: true,
        };
        assert_eq!(offers(&server(), vec![listed]), [expected]);
        let bare = offers(&server(), vec![tool("x", "", json!({}))]);
        assert_eq!(*bare[0].schema, json!({"type": "object", "properties": {}}));
        assert!(!bare[0].only_reads);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let names = |listed| {
            let offers = offers(&server(), listed);
            offers
                .into_iter()
                .map(|offer| offer.remote_name)
                .collect::<Vec<_>>()
        };
        let sized = |name: &str, bytes: usize| {
            let empty = schema(&Map::from_iter([("d".to_owned(), json!(""))]));
            let filler = "x".repeat(bytes - empty.to_string().len());
            tool(name, "", json!({"d": filler}))
        };
        let listed = vec![
            sized("fits", SCHEMA_BYTES_MAX),
            sized("not", SCHEMA_BYTES_MAX + 1),
        ];
        assert_eq!(names(listed), ["fits"]);

        let twice = vec![tool("a", "1", json!({})), tool("a", "2", json!({}))];
        assert_eq!(names(twice), ["a"]);

        let many = (0..=TOOLS_MAX).map(|n| tool(&n.to_string(), "", json!({})));
        assert_eq!(names(many.collect()).len(), TOOLS_MAX);

        let large = (0..20).map(|n| sized(&n.to_string(), SCHEMA_BYTES_MAX));
        let large: Vec<Tool> = large.collect();
        assert_eq!(names(large).len(), SERVER_BYTES_MAX / SCHEMA_BYTES_MAX);

        let long = tool("a", &"长".repeat(DESCRIPTION_BYTES_MAX), json!({}));
        let offer = &offers(&server(), vec![long])[0];
        assert_eq!(offer.description.len(), DESCRIPTION_BYTES_MAX - 1);
    }

    fn server() -> McpServer {
        McpServer::new("s", McpTransport::Stdio(McpCommand::new("x")))
    }

    fn tool(name: &str, description: &str, schema: Value) -> Tool {
        let Value::Object(schema) = schema else {
            panic!("not an object");
        };
        Tool::new(name.to_owned(), description.to_owned(), schema)
    }
}
