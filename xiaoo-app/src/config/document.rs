//! The schema as a page in English and in Chinese: docs/configuration.md and
//! docs/configuration.zh-CN.md.

use std::fmt::Write as _;

use super::chinese::chinese;
use super::schema::{Key, Kind, ROOT, Table};
use crate::render::language::Language;
use crate::telemetry::LogFormat;

/// The page. A test compares it with the file.
#[must_use]
pub fn page(language: Language) -> String {
    let words = match language {
        Language::Chinese => &CHINESE,
        Language::English => &ENGLISH,
    };
    let mut page = Page {
        text: String::from(words.head),
        language,
        words,
    };
    page.sections(&ROOT, "");
    page.variables();
    page.text
}

/// A page that is being written.
struct Page {
    text: String,
    language: Language,
    words: &'static Words,
}

impl Page {
    fn sections(&mut self, table: &Table, path: &str) {
        for key in table.keys {
            let Some((below, header, inner)) = key.section(path) else {
                continue;
            };
            self.section(&header, key, inner);
            if inner.like.is_none() {
                self.sections(inner, &below);
            }
        }
    }

    fn section(&mut self, header: &str, key: &Key, inner: &Table) {
        if !inner.keys.iter().any(|key| key.kind.is_value()) {
            return;
        }
        let meaning = self.meaning(key);
        self.line(format_args!("\n## `{header}`\n\n{meaning}"));
        if let Some(like) = inner.like {
            self.line(format_args!("\n{}", self.words.like.replace("{}", like)));
            return;
        }
        let head = self.words.columns.join(" | ");
        self.line(format_args!("\n| {head} |\n| --- | --- | --- | --- |"));
        for key in inner.keys.iter().filter(|key| key.kind.is_value()) {
            let cells = [
                format!("`{}`", key.name),
                self.value(key),
                self.default(key),
                self.meaning(key).to_owned(),
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            self.line(format_args!("| {} |", cells.join(" | ")));
        }
    }

    /// What may be written, and an example.
    fn value(&self, key: &Key) -> String {
        let words = self.words;
        let kind = match &key.kind {
            Kind::Flag { .. } => "`true`, `false`".to_owned(),
            Kind::Count { min, max, .. } => format!("{min} – {max}"),
            Kind::Price => words.price.to_owned(),
            Kind::Choice { of, .. } => {
                let words: Vec<_> = of.iter().map(|word| format!("`{word:?}`")).collect();
                return words.join(", ");
            }
            Kind::Text { .. } => words.text.to_owned(),
            Kind::Secret => words.secret.to_owned(),
            Kind::Variable => words.variable.to_owned(),
            Kind::Path => words.path.to_owned(),
            Kind::Texts => words.texts.to_owned(),
            Kind::Free => words.free.to_owned(),
            Kind::Section(_) | Kind::Sections(_) | Kind::NamedSections(_) | Kind::Ignored(_) => {
                String::new()
            }
        };
        match key.example {
            "" | "\"…\"" => kind,
            example => format!("{kind}{}`{example}`", words.such_as),
        }
    }

    fn default(&self, key: &Key) -> String {
        match key.kind.default() {
            _ if key.required => self.words.required.to_owned(),
            Some(default) => format!("`{default}`"),
            None => "–".to_owned(),
        }
    }

    fn meaning(&self, key: &Key) -> &'static str {
        let chinese = chinese(key.doc).unwrap_or(key.doc);
        self.language.pick(chinese, key.doc)
    }

    fn variables(&mut self) {
        self.line(format_args!("\n{}", self.words.variables));
        let [name, _, _, meaning] = self.words.columns;
        self.line(format_args!("\n| {name} | {meaning} |\n| --- | --- |"));
        for (name, english, chinese) in VARIABLES {
            let meaning = self.language.pick(chinese, english);
            self.line(format_args!("| `{name}` | {meaning} |"));
        }
    }

    fn line(&mut self, line: core::fmt::Arguments<'_>) {
        // Writing to a String doesn't fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// The page's own words in one language.
struct Words {
    head: &'static str,
    columns: [&'static str; 4],
    /// With `{}` where the other section's name goes.
    like: &'static str,
    such_as: &'static str,
    required: &'static str,
    text: &'static str,
    secret: &'static str,
    variable: &'static str,
    path: &'static str,
    texts: &'static str,
    free: &'static str,
    price: &'static str,
    variables: &'static str,
}

static ENGLISH: Words = Words {
    head: "\
# Configuration

[中文](configuration.zh-CN.md)

Every key of `config.toml`. This page is generated from the table that files are checked by, and a
test keeps them equal; the same as a file to start from: [reference.toml](../deploy/examples/reference.toml).

Secrets are never in the file: a key that ends in `_env` names the environment variable that holds
one. Relative paths start at the file's directory, `~/` is the home directory. An unknown key is an
error, and everything that is wrong is said at once.
",
    columns: ["key", "value", "default", "meaning"],
    like: "The keys are those of `[{}]`.",
    such_as: ", such as ",
    required: "**required**",
    text: "text",
    secret: "text, never shown",
    variable: "name of a variable",
    path: "path",
    texts: "list of texts",
    free: "table",
    price: "number with up to six decimals",
    variables: "\
## Environment

What is set outside of the file.",
};

static CHINESE: Words = Words {
    head: "\
# 配置

[English](configuration.md)

`config.toml` 的全部配置项。本页由校验配置文件所用的同一张表生成，有测试保证两者一致；可以直接照着改的
文件见 [reference.toml](../deploy/examples/reference.toml)。

密钥从不写在文件里：以 `_env` 结尾的项写的是存放密钥的环境变量名。相对路径以该文件所在目录为起点，
`~/` 是主目录。不认识的项视为错误；所有问题会一次说清。
",
    columns: ["配置项", "取值", "默认", "含义"],
    like: "配置项与 `[{}]` 相同。",
    such_as: "，例如 ",
    required: "**必填**",
    text: "文本",
    secret: "文本，不会显示出来",
    variable: "环境变量名",
    path: "路径",
    texts: "文本列表",
    free: "表",
    price: "数字，最多六位小数",
    variables: "\
## 环境变量

在文件之外设置的项。",
};

/// Variables that mean the same whatever the file says: name, English, Chinese.
const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "XIAOO_CONFIG",
        "The file to read where `--config` names none; else `~/.config/xiaoo/config.toml`.",
        "`--config` 没有指定时读取的文件；再不然是 `~/.config/xiaoo/config.toml`。",
    ),
    (
        "XIAOO_LOG",
        "What is logged: `error`, `warn`, `info` (default), `debug` or `trace`. A level alone is \
         the daemon's own; libraries by name: `debug,hyper=debug`. `RUST_LOG` where it is not set.",
        "记录什么：`error`、`warn`、`info`（默认）、`debug` 或 `trace`。只写级别时指守护进程自身；\
         依赖库须写明名字：`debug,hyper=debug`。未设置时看 `RUST_LOG`。",
    ),
    (
        LogFormat::VARIABLE,
        "How lines of the log look: `text`, `json`, `journald` (every fact a field of the \
         journal's entry), or `auto` (default: `journald` under systemd, else `text`). The option \
         `--log-format` comes first.",
        "日志的样式：`text`、`json`、`journald`（每个事实是日志条目的一个字段）或 `auto`（默认：\
         在 systemd 下为 `journald`，否则为 `text`）。以选项 `--log-format` 为先。",
    ),
    (
        "NO_COLOR",
        "Any value: no colours, on a terminal either.",
        "任何值：在终端上也不使用颜色。",
    ),
    (
        "HTTPS_PROXY",
        "The proxy for Feishu, for models and for the long connection: `http://[user:word@]host:port`.",
        "访问飞书、模型以及长连接所用的代理：`http://[user:word@]host:port`。",
    ),
    (
        "NO_PROXY",
        "Hosts that are reached without it.",
        "不经代理直接访问的主机。",
    ),
    (
        "PGPASSWORD",
        "The password of a PostgreSQL store, where neither its url nor `password_env` has one.",
        "PostgreSQL 存储的密码，当 url 和 `password_env` 都没有给出时使用。",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::chinese::MEANINGS;
    use super::*;

    #[test]
    fn the_committed_pages_are_those_that_the_schema_gives() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
        for (language, name) in [
            (Language::English, "configuration.md"),
            (Language::Chinese, "configuration.zh-CN.md"),
        ] {
            let path = format!("{docs}/{name}");
            if std::env::var_os("XIAOO_UPDATE_REFERENCE").is_some() {
                std::fs::write(&path, page(language)).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(path).unwrap_or_default(),
                page(language),
                "run XIAOO_UPDATE_REFERENCE=1 cargo test -p xiaoo-app --lib config"
            );
        }
    }

    #[test]
    fn every_meaning_is_there_in_chinese_and_none_is_left_over() {
        let mut shown = BTreeSet::new();
        collect(&ROOT, &mut shown);
        let translated: BTreeSet<_> = MEANINGS.iter().map(|(english, _)| *english).collect();
        assert_eq!(translated.len(), MEANINGS.len(), "one each");
        let missing: Vec<_> = shown.difference(&translated).collect();
        let left_over: Vec<_> = translated.difference(&shown).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "config/chinese.rs: missing {missing:#?}, left over {left_over:#?}"
        );
    }

    fn collect(table: &Table, shown: &mut BTreeSet<&'static str>) {
        for key in table.keys {
            let inner = key.kind.table();
            if key.kind.is_value()
                || inner.is_some_and(|inner| inner.keys.iter().any(|key| key.kind.is_value()))
            {
                shown.insert(key.doc);
            }
            if let Some(inner) = inner {
                collect(inner, shown);
            }
        }
    }
}
