//! Which tools ask before they do anything.

use std::sync::Arc;

/// The operator's list of tools that ask first. Cheap to clone.
///
/// A name stands for that tool; one that ends in `*` for all that begin so: `mcp__*`, or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalRules {
    patterns: Arc<[String]>,
}

impl ApprovalRules {
    /// No tool asks, but those that do so of themselves.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether the tool asks first.
    #[must_use]
    pub fn ask_first(&self, tool: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => tool.starts_with(beginning),
                None => tool == pattern,
            })
    }
}

impl<S: Into<String>> FromIterator<S> for ApprovalRules {
    fn from_iter<I: IntoIterator<Item = S>>(patterns: I) -> Self {
        Self {
            patterns: patterns.into_iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_are_meant() {
        let rules = ApprovalRules::from_iter(["shell", "mcp__*"]);
        let cases = [
            ("shell", true),
            ("shell_2", false),
            ("mcp__", true),
            ("mcp__github__push", true),
            ("mcp_", false),
            ("read_file", false),
        ];
        for (tool, asks) in cases {
            assert_eq!(rules.ask_first(tool), asks, "{tool}");
        }
        assert!(ApprovalRules::from_iter(["*"]).ask_first("anything"));
        assert!(!ApprovalRules::none().ask_first("shell"));
    }
}
