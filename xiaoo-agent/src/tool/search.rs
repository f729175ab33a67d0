//! What is where: in files and among their names. The search itself is ripgrep's.

use core::time::Duration;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use globset::{GlobBuilder, GlobMatcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::WalkBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::arguments::{number, parse};
use super::files::{either, workspace};
use super::{Intent, Tool, ToolContext, ToolOutput};
use crate::workspace::Workspace;

/// `search`: a pattern in files, or files by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search;

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    glob: Option<String>,
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default, deserialize_with = "number")]
    context: Option<usize>,
}

impl Tool for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn description(&self) -> &'static str {
        "Search the workspace. With a pattern: the lines of text files that match it, as \
         path:line: text. With only a glob: the files whose names match. Hidden files and what \
         .gitignore names are left out unless path names them. PDF and Office files are not \
         searched inside: use read_file for them."
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "description": "A regular expression in Rust's syntax (no look-around, no back-references), matched line by line"},
                "glob": {"type": "string", "description": "Only files like this: *.csv, src/**/*.rs"},
                "path": {"type": "string", "description": "The directory or file to search; default is the whole workspace"},
                "literal": {"type": "boolean", "description": "Take the pattern as plain text; default false"},
                "ignore_case": {"type": "boolean", "description": "Default false"},
                "context": {"type": "integer", "minimum": 0, "maximum": CONTEXT_MAX, "description": "Lines to show before and after each match; default 0"},
            },
        })
    }

    fn intent(&self, arguments: &Value, context: &ToolContext) -> Intent {
        let pattern = arguments.get("pattern").or_else(|| arguments.get("glob"));
        let pattern = pattern.and_then(Value::as_str).unwrap_or_default();
        Intent {
            what: format!("search for {pattern}"),
            ..super::files::intent("search", arguments, context)
        }
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move { either(search(arguments, context).await) }.boxed()
    }
}

async fn search(arguments: Value, context: &ToolContext) -> Result<ToolOutput, ToolOutput> {
    let arguments: Arguments = parse(arguments)?;
    let cancel = context.cancel.child_token();
    // Whoever drops the call no longer waits for it.
    let _guard = cancel.clone().drop_guard();
    workspace(context)?
        .blocking(move |workspace| {
            let query = Query::new(&arguments)?;
            let path = arguments.path.as_deref().filter(|path| !path.is_empty());
            let mut found = Found::new(cancel, query.has_pattern());
            found.search(workspace, path.unwrap_or("."), &query)?;
            Ok(ToolOutput::ok(found.told()))
        })
        .await
}

struct Query {
    matcher: Option<RegexMatcher>,
    glob: Option<GlobMatcher>,
    context: usize,
}

impl Query {
    fn new(arguments: &Arguments) -> Result<Self, ToolOutput> {
        /// What a pattern may grow to when it is compiled: `(a{1000}){1000}` is a small text.
        const COMPILED_BYTES_MAX: usize = 4 << 20;
        let matcher = arguments
            .pattern
            .as_deref()
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| {
                RegexMatcherBuilder::new()
                    .case_insensitive(arguments.ignore_case)
                    .fixed_strings(arguments.literal)
                    .line_terminator(Some(b'\n'))
                    .size_limit(COMPILED_BYTES_MAX)
                    .dfa_size_limit(COMPILED_BYTES_MAX)
                    .build(pattern)
            })
            .transpose()
            .map_err(|error| {
                ToolOutput::error(format!(
                    "Error: the pattern can't be used: {error}\nSet literal to search for it as plain text."
                ))
            })?;
        let glob = arguments.glob.as_deref().filter(|glob| !glob.is_empty());
        if matcher.is_none() && glob.is_none() {
            return Err(ToolOutput::error(
                "Error: give a pattern to search for in files, or a glob to find files by name.",
            ));
        }
        let glob = glob
            .map(|glob| {
                // A glob without a directory is about names in all of them.
                let anywhere = if glob.contains('/') {
                    glob.trim_start_matches("./").to_owned()
                } else {
                    format!("**/{glob}")
                };
                GlobBuilder::new(&anywhere)
                    .literal_separator(true)
                    .case_insensitive(arguments.ignore_case)
                    .build()
                    .map(|glob| glob.compile_matcher())
            })
            .transpose()
            .map_err(|error| {
                ToolOutput::error(format!("Error: the glob can't be used: {error}"))
            })?;
        Ok(Self {
            matcher,
            glob,
            context: arguments.context.unwrap_or(0).min(CONTEXT_MAX),
        })
    }

    fn has_pattern(&self) -> bool {
        self.matcher.is_some()
    }
}

/// What was found so far.
struct Found {
    text: String,
    hits: usize,
    files: usize,
    is_about_lines: bool,
    deadline: Instant,
    cancel: CancellationToken,
    stopped: Option<&'static str>,
}

impl Found {
    fn new(cancel: CancellationToken, is_about_lines: bool) -> Self {
        let now = Instant::now();
        Self {
            text: String::new(),
            hits: 0,
            files: 0,
            is_about_lines,
            deadline: now.checked_add(TIME_MAX).unwrap_or(now),
            cancel,
            stopped: None,
        }
    }

    fn search(
        &mut self,
        workspace: &Workspace,
        path: &str,
        query: &Query,
    ) -> Result<(), ToolOutput> {
        if let Ok(file) = workspace.open_file(path) {
            if query.glob.as_ref().is_none_or(|glob| glob.is_match(path)) {
                self.look_into(&file, path, query);
            }
            return Ok(());
        }
        let top = workspace.directory(path)?;
        for file in files_beneath(&top) {
            self.look_at_the_clock();
            if self.stopped.is_some() {
                break;
            }
            let relative = file.strip_prefix(&top).unwrap_or(&file);
            if query
                .glob
                .as_ref()
                .is_some_and(|glob| !glob.is_match(relative))
            {
                continue;
            }
            // Walking goes by names, which may be exchanged meanwhile. What is opened is judged
            // by the kernel, and what it refuses is not told.
            let name = workspace.spelled(&file);
            let Ok(opened) = workspace.open_file(&name) else {
                continue;
            };
            self.look_into(&opened, &name, query);
        }
        Ok(())
    }

    fn look_into(&mut self, file: &File, name: &str, query: &Query) {
        self.files += 1;
        let Some(matcher) = &query.matcher else {
            self.hits += 1;
            self.add(&format!("{}\n", name.escape_debug()));
            return;
        };
        let mut searcher = SearcherBuilder::new()
            .line_number(true)
            .binary_detection(BinaryDetection::quit(0))
            .before_context(query.context)
            .after_context(query.context)
            .heap_limit(Some(LINE_HEAP_MAX))
            .build();
        let sink = Lines { found: self, name };
        // A file that can't be read to its end is no reason to leave the others out.
        let _ = searcher.search_file(matcher, file, sink);
    }

    fn add(&mut self, line: &str) {
        self.text.push_str(line);
        if self.hits >= HITS_MAX {
            self.stopped = Some("there may be more: narrow the search");
        }
        if self.text.len() >= OUTPUT_BYTES_MAX {
            self.stopped = Some("there may be more: narrow the search");
        }
    }

    fn look_at_the_clock(&mut self) {
        if self.cancel.is_cancelled() || Instant::now() >= self.deadline {
            self.stopped = Some("it took too long and was stopped: search a smaller part");
        }
    }

    fn told(mut self) -> String {
        let what = if self.is_about_lines {
            "matching lines"
        } else {
            "files"
        };
        let seen = if self.is_about_lines {
            format!(" ({} files searched)", self.files)
        } else {
            String::new()
        };
        if self.hits == 0 {
            self.text = format!("No {what} found{seen}.\n");
        }
        match self.stopped {
            Some(why) => format!("{}[{} {what}; {why}]", self.text, self.hits),
            None => self.text,
        }
    }
}

/// The regular files below a directory, in order, without what is hidden or ignored. What lies
/// above the directory has no say in that.
fn files_beneath(top: &Path) -> impl Iterator<Item = PathBuf> {
    WalkBuilder::new(top)
        .follow_links(false)
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .max_depth(Some(DEPTH_MAX))
        .sort_by_file_name(|a, b| a.cmp(b))
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(ignore::DirEntry::into_path)
}

struct Lines<'a> {
    found: &'a mut Found,
    name: &'a str,
}

impl Lines<'_> {
    fn line(&mut self, number: Option<u64>, mark: char, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end();
        let shown: String = text.chars().take(LINE_CHARS_MAX).collect();
        let rest = if shown.len() < text.len() {
            " […]"
        } else {
            ""
        };
        let number = number.unwrap_or(0);
        let name = self.name.escape_debug();
        self.found
            .add(&format!("{name}{mark}{number}{mark} {shown}{rest}\n"));
        self.found.stopped.is_none()
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.found.hits += 1;
        self.found.look_at_the_clock();
        Ok(self.line(found.line_number(), ':', found.bytes()))
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        Ok(self.line(context.line_number(), '-', context.bytes()))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        self.found.add("--\n");
        Ok(self.found.stopped.is_none())
    }
}

/// A person would have asked for something else by then.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Nobody looks through more.
const HITS_MAX: usize = 200;

/// Below what the loop cuts at.
const OUTPUT_BYTES_MAX: usize = 24 << 10;

/// As much of a line as shows what it is about.
const LINE_CHARS_MAX: usize = 300;

/// The longest line that is searched: it is held in memory.
const LINE_HEAP_MAX: usize = 8 << 20;

const CONTEXT_MAX: usize = 10;

/// As deep as the workspace itself goes.
const DEPTH_MAX: usize = 64;
