//! A page as Markdown, in one pass over its tokens.
//!
//! No tree is built. What a page may cost is then bounded by its size alone, whatever it nests
//! and leaves open: trees of hostile pages take minutes, gigabytes, or more stack than there is.
//! The price is that a page with broken tags reads as it was written, not as a browser mends it.

use core::cell::RefCell;
use core::time::Duration;
use std::time::Instant;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use url::Url;

use super::super::head::split_head;
use super::markdown::Markdown;

/// How long one page may take. Only pages made for it come near.
const TIME_MAX: Duration = Duration::from_secs(2);
/// What is read between two looks at the clock: one tag with nothing but attributes takes time
/// that grows with their square.
const PIECE_BYTES: usize = 4 << 10;
/// Longest link that is shown; longer ones say nothing to anybody.
const LINK_BYTES_MAX: usize = 500;

/// The text of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) markdown: String,
    /// Whether it was given up before its end.
    pub(super) cut: bool,
}

/// Converts a page. Links are completed by `base`, its own address. At most `bytes_max` bytes,
/// and a little, come out.
pub(super) fn to_markdown(html: &str, base: &Url, bytes_max: usize) -> Page {
    let until = Instant::now() + TIME_MAX;
    let reader = Reader {
        state: RefCell::new(State {
            base: base.clone(),
            markdown: Markdown::default(),
            title: String::new(),
            skipping: None,
            in_title: false,
        }),
    };
    let tokenizer = Tokenizer::new(reader, TokenizerOpts::default());
    let input = BufferQueue::default();
    let mut rest = html;
    let mut cut = false;
    while !rest.is_empty() {
        let (piece, after) = split_head(rest, PIECE_BYTES);
        rest = after;
        input.push_back(StrTendril::from_slice(piece));
        let _ = tokenizer.feed(&input);
        let written = tokenizer.sink.state.borrow().markdown.len();
        if !rest.is_empty() && (written > bytes_max || Instant::now() > until) {
            cut = true;
            break;
        }
    }
    tokenizer.end();
    let state = tokenizer.sink.state.into_inner();
    Page {
        title: words(&state.title),
        markdown: state.markdown.finish(),
        cut,
    }
}

/// Takes tokens; only a shared reference is given to it.
struct Reader {
    state: RefCell<State>,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) => state.tag(&tag),
            Token::CharacterTokens(text) => {
                state.text(&text);
                TokenSinkResult::Continue
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => TokenSinkResult::Continue,
        }
    }
}

struct State {
    base: Url,
    markdown: Markdown,
    title: String,
    /// The element whose content is left out, and how often it is open.
    skipping: Option<(String, usize)>,
    in_title: bool,
}

impl State {
    fn text(&mut self, text: &str) {
        if self.skipping.is_some() {
            return;
        }
        if self.in_title {
            /// Longest title that is kept.
            const TITLE_BYTES_MAX: usize = 300;
            let room = TITLE_BYTES_MAX.saturating_sub(self.title.len());
            self.title.push_str(split_head(text, room).0);
        } else {
            self.markdown.text(text);
        }
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let is_start = tag.kind == TagKind::StartTag;
        if let Some((skipped, depth)) = &mut self.skipping {
            if skipped == name {
                *depth = if is_start { *depth + 1 } else { *depth - 1 };
            }
            if *depth == 0 {
                self.skipping = None;
            }
        } else if is_start && is_skipped(name) {
            if !tag.self_closing || is_raw(name) {
                self.skipping = Some((name.to_owned(), 1));
            }
        } else if is_start {
            self.open(name, tag);
        } else {
            self.close(name);
        }
        match name {
            _ if !is_start => TokenSinkResult::Continue,
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            _ if is_raw(name) => TokenSinkResult::RawData(RawKind::Rawtext),
            _ => TokenSinkResult::Continue,
        }
    }

    fn open(&mut self, name: &str, tag: &Tag) {
        let markdown = &mut self.markdown;
        match name {
            "title" => self.in_title = true,
            "base" => {
                if let Some(base) = attribute(tag, "href").and_then(|to| self.base.join(to).ok()) {
                    self.base = base;
                }
            }
            "a" => {
                let link = attribute(tag, "href").and_then(|to| self.link(to));
                self.markdown.open_link(link);
            }
            "img" => {
                let alt = words(attribute(tag, "alt").unwrap_or_default());
                let link = attribute(tag, "src").and_then(|to| self.link(to));
                if !alt.is_empty() {
                    self.markdown.image(&alt, link.as_deref());
                }
            }
            "br" => markdown.line(),
            "hr" => markdown.rule(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => markdown.heading(name),
            "ul" => markdown.open_list(None),
            "ol" => {
                let first = attribute(tag, "start").and_then(|n| n.parse().ok());
                markdown.open_list(Some(first.unwrap_or(1)));
            }
            "li" => markdown.item(),
            "blockquote" => markdown.open_quote(),
            "pre" => markdown.open_code(),
            "code" | "kbd" | "samp" => markdown.code_mark(),
            "table" => markdown.open_table(),
            "tr" => markdown.row(),
            "td" => markdown.cell(false),
            "th" => markdown.cell(true),
            _ => self.block(name),
        }
    }

    fn close(&mut self, name: &str) {
        let markdown = &mut self.markdown;
        match name {
            "title" => self.in_title = false,
            "a" => markdown.close_link(),
            "ul" | "ol" => markdown.close_list(),
            "blockquote" => markdown.close_quote(),
            "pre" => markdown.close_code(),
            "code" | "kbd" | "samp" => markdown.code_mark(),
            "table" => markdown.close_table(),
            "tr" => markdown.end_row(),
            _ => self.block(name),
        }
    }

    /// What begins and ends a block looks the same.
    fn block(&mut self, name: &str) {
        match name {
            "p" | "article" | "section" | "figure" | "dl" | "form" | "fieldset" | "details"
            | "main" | "header" | "footer" | "nav" | "aside" | "h1" | "h2" | "h3" | "h4" | "h5"
            | "h6" => self.markdown.paragraph(),
            "div" | "dt" | "dd" | "figcaption" | "caption" | "summary" | "address" | "option"
            | "legend" | "li" | "body" | "thead" | "tbody" | "tfoot" => self.markdown.line(),
            _ => {}
        }
    }

    /// A link as it is shown, if it leads somewhere on the web.
    fn link(&self, to: &str) -> Option<String> {
        let to = to.trim();
        if to.is_empty() || to.starts_with('#') || to.len() > LINK_BYTES_MAX {
            return None;
        }
        let url = self.base.join(to).ok()?;
        let is_shown = matches!(url.scheme(), "http" | "https" | "mailto");
        // A parenthesis would end the Markdown link.
        let link = url.as_str().replace('(', "%28").replace(')', "%29");
        (is_shown && link.len() <= LINK_BYTES_MAX).then_some(link)
    }
}

/// Elements that hold nothing to read.
fn is_skipped(name: &str) -> bool {
    is_raw(name) || matches!(name, "template" | "svg" | "math" | "object" | "canvas")
}

/// Elements in which nothing is a tag but their own end.
fn is_raw(name: &str) -> bool {
    matches!(
        name,
        "script" | "style" | "iframe" | "noembed" | "noframes" | "xmp"
    )
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let mut attributes = tag.attrs.iter();
    let found = attributes.find(|attribute| &*attribute.name.local == name)?;
    Some(&found.value)
}

/// A text with single spaces, in one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_read_as_markdown() {
        let cases = [
            ("plain  text\n here", "plain text here"),
            ("<p>one<p>two</p>three", "one\n\ntwo\n\nthree"),
            ("<h1>A</h1><h3>B <em>c</em></h3>d", "# A\n\n### B c\n\nd"),
            ("a<br>b<br/>c", "a\nb\nc"),
            ("a<hr>b", "a\n\n---\n\nb"),
            (
                "5 &lt; 6 &amp; &#20320;&#x597d;&nbsp;&hellip;",
                "5 < 6 & 你好\u{a0}…",
            ),
            (
                "<ul><li>a<li>b<ol start=3><li>c</li><li>d</ol></ul>e",
                "- a\n- b\n  3. c\n  4. d\n\ne",
            ),
            (
                "<ol><li><p>a</p></li><li><div>b</div></li></ol>",
                "1. a\n2. b",
            ),
            (
                "<blockquote><p>a</p><p>b</p></blockquote>c",
                "> a\n>\n> b\n\nc",
            ),
            (
                "x<pre>a\n  <b>b</b>\n\n c</pre>y",
                "x\n\n```\na\n  b\n\n c\n```\n\ny",
            ),
            ("use <code>a  b</code>!", "use `a b`!"),
            (
                "<a href='/b?c=1'>x <b>y</b></a>, <a name=z>z</a>, <a href='#top'>up</a>",
                "[x y](https://example.com/b?c=1), z, up",
            ),
            (
                "<a href=//other.org/(1)>o</a>",
                "[o](https://other.org/%281%29)",
            ),
            ("<a href='javascript:alert(1)'>j</a><a href=x></a>", "j"),
            (
                "<base href=https://b.org/d/><a href=e>e</a>",
                "[e](https://b.org/d/e)",
            ),
            (
                "<img alt='a  cat' src=c.png><img src=x.png>",
                "![a cat](https://example.com/a/c.png)",
            ),
            ("<img alt=dot src='data:image/png;base64,AAAA'>", "![dot]"),
            (
                "<table><tr><th>a<th>b</tr><tr><td><p>1</p><td>2<br>3</tr></table>x",
                "| a | b |\n| --- | --- |\n| 1 | 2 3 |\n\nx",
            ),
            ("a<table><tr><td>1</td></tr></table>", "a\n\n| 1 |"),
            ("<dl><dt>t<dd>d</dl>", "t\nd"),
        ];
        for (html, expected) in cases {
            let page = convert(html);
            assert_eq!(page.markdown, expected, "{html}");
        }
    }

    #[test]
    fn nothing_that_runs_or_styles_is_text() {
        for html in [
            "<script>if (a<b) document.write('<p>x</p>')</script>",
            "<script><!-- <script>x</script> --></script>",
            "<style>p { color: red } </p></style>",
            "<svg><title>x</title><g><svg></svg>x</g></svg>",
            "<template><p>x</p></template>",
            "<iframe><p>x</p></iframe>",
            "<!-- x -->",
            "<!doctype html><head><meta charset=x></head>",
        ] {
            let page = convert(&format!("before{html}after"));
            assert_eq!(page.markdown, "beforeafter", "{html}");
            assert_eq!(page.title, "", "{html}");
        }
    }

    #[test]
    fn the_title_is_apart() {
        let page = convert("<head><title>A &amp;\n <b></title></head><body>text");
        assert_eq!(
            (page.title.as_str(), page.markdown.as_str()),
            ("A & <b>", "text")
        );
        let long = convert(&format!("<title>{}</title>text", "长".repeat(1000)));
        assert_eq!((long.title.len(), long.markdown.as_str()), (300, "text"));
    }

    #[test]
    fn hostile_pages_cost_what_their_size_costs() {
        let formats: String = (0..20_000).map(|i| format!("<b a{i}>")).collect();
        let attributes: String = (0..100_000).map(|i| format!("a{i} ")).collect();
        let cases = [
            ("deep", "<div>".repeat(100_000)),
            ("lists", "<ul><li>x".repeat(30_000)),
            ("quotes", "<blockquote>x<br>y".repeat(30_000)),
            ("links", "<a href=/x>y".repeat(30_000)),
            (
                "open formats",
                format!("{formats}{}", "<p>x".repeat(100_000)),
            ),
            (
                "one wide cell",
                format!(
                    "<table><tr><th>{}{}",
                    "w".repeat(1 << 20),
                    "<tr><td>x".repeat(50_000)
                ),
            ),
            (
                "many columns",
                format!("<table><tr>{}", "<th>".repeat(50_000)),
            ),
            ("attributes", format!("<a {attributes}>x")),
            ("no end", "<".repeat(100_000)),
            ("entities", "&".repeat(100_000)),
            ("comment", "<!--".repeat(100_000)),
        ];
        for (name, html) in cases {
            let started = Instant::now();
            let page = to_markdown(&html, &base(), 4 << 20);
            // Tens of milliseconds, and the clock where it has to help; a slow machine has time.
            assert!(started.elapsed() < TIME_MAX * 5, "{name}");
            assert!(
                page.markdown.len() <= (4 << 20) + 8 * PIECE_BYTES * 64,
                "{name}"
            );
        }
    }

    #[test]
    fn output_ends_where_there_is_enough() {
        let page = to_markdown(&"<p>word</p>".repeat(10_000), &base(), 1_000);
        assert!(page.cut);
        assert!((1_000..1_000 + PIECE_BYTES).contains(&page.markdown.len()));
        let page = to_markdown("<p>word</p>", &base(), 4);
        assert_eq!((page.cut, page.markdown.as_str()), (false, "word"));
    }

    fn convert(html: &str) -> Page {
        to_markdown(html, &base(), 1 << 20)
    }

    fn base() -> Url {
        Url::parse("https://example.com/a/page.html").unwrap()
    }
}
