//! What is left to do, in the console and on this machine.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::answers::Answers;
use super::files::Files;
use super::service::Service;
use super::talk::Talk;
use crate::commands::console::{self, Page};
use crate::config::{Env, FeishuConfig};
use crate::telemetry;

/// The steps, in the order in which they work; `bot` is the one that was set up.
pub(super) fn print(
    answers: &Answers,
    files: &Files,
    service: &Service,
    bot: Option<&FeishuConfig>,
    env: &dyn Env,
    talk: &mut Talk<'_, impl Write>,
) -> anyhow::Result<()> {
    let texts = talk.texts;
    let steps = &texts.steps;
    let (base_url, app) = (answers.base_url.text(), answers.app_id.text());
    let page = |page: Page| page.link(base_url, app).into_iter();
    let names: Vec<_> = console::helpful(bot).map(|one| one.name).collect();
    let filled_in = format!("?q={}&token_type=tenant", names.join(","));
    let permissions = page(Page::Permissions).map(|link| link + &filled_in);
    let events = if answers.is_webhook() {
        (steps.events_by_webhook)(&public_url(files))
    } else {
        steps.events_by_connection.to_owned()
    };
    let program = program(env);
    talk.says(&format!("\n{}\n", steps.left))?;
    let mut number = 0;
    let mut step = |text: &str, lines: Vec<String>| {
        number += 1;
        let lines = text.lines().map(str::to_owned).chain(lines);
        talk.says(&format!(
            "{number}. {}",
            lines.collect::<Vec<_>>().join("\n   ")
        ))
    };
    step(steps.bot, page(Page::Bot).collect())?;
    step(steps.permissions, permissions.collect())?;
    step(steps.start, start(&program, answers, files, service))?;
    step(&events, page(Page::Events).collect())?;
    step(steps.publish, page(Page::Versions).collect())?;
    step(steps.write, vec![doctor(&program, files)])?;
    let has_colours = telemetry::has_colours(env, io::stdout().is_terminal());
    if let Some(code) = qr(&format!("{}/{app}", console::apps(base_url)), has_colours) {
        talk.says(&format!("\n{}\n\n{code}", steps.on_phone))?;
    }
    Ok(())
}

/// As deploy/nginx has it.
fn public_url(files: &Files) -> String {
    let document = files.document();
    let name = if document.is_first_bot() {
        "xiaoo".to_owned()
    } else {
        format!("xiaoo-{}", document.bot())
    };
    format!("http://YOUR-DOMAIN{}", crate::bot::event_route(&name))
}

fn start(program: &str, answers: &Answers, files: &Files, service: &Service) -> Vec<String> {
    if service.has_unit {
        let mut lines = Vec::new();
        if !has_user(Path::new("/etc/passwd")) {
            lines.extend([USER.to_owned(), owned(answers)]);
        }
        lines.extend([
            "systemctl daemon-reload".to_owned(),
            "systemctl enable xiaoo-rebuild.service".to_owned(),
            // One that runs has read the old files.
            "systemctl restart xiaoo-rebuild.service".to_owned(),
        ]);
        if service.site.is_some() {
            lines.push("nginx -t && systemctl reload nginx".to_owned());
        }
        return lines;
    }
    vec![
        format!("set -a; . {}; set +a", path_word(files.env_path())),
        format!("{program} daemon --config {}", path_word(files.path())),
    ]
}

/// As install.sh makes the unit's user, for whoever has made the directories by hand.
const USER: &str = "useradd --system --user-group --home-dir /var/lib/xiaoo --no-create-home \
     --shell /usr/sbin/nologin xiaoo";
/// The user's home.
const HOME: &str = "/var/lib/xiaoo";

/// What the daemon writes is that user's.
fn owned(answers: &Answers) -> String {
    let own = [Some(answers.workspace.text()), answers.agent_dir.as_deref()];
    let own = own.into_iter().flatten();
    let outside = own.filter(|path| !path.is_empty() && !Path::new(path).starts_with(HOME));
    let words = outside.map(shell_word);
    let words: Vec<_> = core::iter::once(HOME.to_owned()).chain(words).collect();
    format!("chown -R xiaoo:xiaoo {}", words.join(" "))
}

/// One that is not there, or is known to another directory of users only, gets a line too many.
fn has_user(passwd: &Path) -> bool {
    let users = std::fs::read_to_string(passwd).unwrap_or_default();
    users.lines().any(|line| line.starts_with("xiaoo:"))
}

fn doctor(program: &str, files: &Files) -> String {
    let (config, env) = (path_word(files.path()), path_word(files.env_path()));
    format!("{program} doctor --config {config} --env-file {env}")
}

/// How this program is started by whoever reads this: by its name, if that leads to it.
fn program(env: &dyn Env) -> String {
    const NAME: &str = "xiaoo-app";
    let Ok(own) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let path = env.var("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|place| place.join(NAME));
    let found = places.find(|place| place.is_file());
    let leads_to_it =
        found.is_some_and(|found| found.canonicalize().ok() == own.canonicalize().ok());
    if leads_to_it {
        NAME.to_owned()
    } else {
        path_word(&own)
    }
}

fn path_word(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    if word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Dark on light, whatever the terminal's own colours are. Without any it is so on a dark terminal,
/// as most are; on a light one it is the other way round, which most phones read, too.
fn qr(link: &str, has_colours: bool) -> Option<String> {
    /// Characters bright white, what is behind them black.
    const WHITE_ON_BLACK: &str = "\u{1b}[97;40m";
    const USUAL: &str = "\u{1b}[0m";
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let mut drawn = code.render::<Dense1x2>();
    drawn
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark);
    let drawn = drawn.quiet_zone(true).build();
    if !has_colours {
        return Some(drawn);
    }
    // Each line by itself: what scrolls in behind one is the terminal's own.
    let lines = drawn.lines();
    let coloured: Vec<_> = lines
        .map(|line| format!("{WHITE_ON_BLACK}{line}{USUAL}"))
        .collect();
    Some(coloured.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_lines_are_those_of_install_sh() {
        let script = include_str!("../../../../deploy/install.sh");
        let script: Vec<_> = script.split_whitespace().collect();
        let script = script
            .join(" ")
            .replace("\\ ", "")
            .replace("\"$user\"", "xiaoo");
        assert!(script.contains(USER), "{script}");
        let passwd = tempfile::NamedTempFile::new().unwrap();
        assert!(!has_user(passwd.path()));
        let users = "root:x:0:0::/root:/bin/sh\nxiaoo:x:999:999::/var/lib/xiaoo:/bin/false\n";
        std::fs::write(passwd.path(), users).unwrap();
        assert!(has_user(passwd.path()));
    }

    #[test]
    fn the_code_is_dark_on_light_and_the_same_without_colours() {
        let link = "https://open.feishu.cn/app/cli_a";
        let (plain, coloured) = (qr(link, false).unwrap(), qr(link, true).unwrap());
        // The quiet zone around it is light.
        let top = plain.lines().next().unwrap();
        assert!(top.chars().all(|drawn| drawn == '\u{2588}'), "{plain}");
        assert_eq!(plain.lines().count(), coloured.lines().count());
        for (plain, coloured) in plain.lines().zip(coloured.lines()) {
            assert_eq!(coloured, format!("\u{1b}[97;40m{plain}\u{1b}[0m"));
        }
    }
}
