//! What is left to do, in the console and on this machine.

use std::io::Write;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::answers::Answers;
use super::files::Files;
use super::service::Service;

/// Without these the bot is deaf or mute; the last three are for files and groups.
const PERMISSIONS: [&str; 7] = [
    "im:message:send_as_bot",
    "im:message.p2p_msg:readonly",
    "im:message.group_msg:readonly",
    "contact:user.base:readonly",
    "im:resource",
    "im:chat:readonly",
    "im:chat.members:read",
];

/// A page of the console.
pub(super) fn console(base_url: &str, page: &str) -> String {
    format!("{}/{page}", base_url.trim_end_matches('/'))
}

/// The steps, in the order in which they work.
pub(super) fn print(
    answers: &Answers,
    files: &Files,
    service: &Service,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let app = format!("app/{}", answers.app_id.text());
    let page = |name: &str| console(answers.base_url.text(), &format!("{app}/{name}"));
    let permissions = PERMISSIONS.join(",");
    writeln!(out, "\nWhat is left, in this order:\n")?;
    writeln!(out, "1. Bot: add the ability.\n   {}", page("bot"))?;
    writeln!(
        out,
        "2. Permissions: grant these (the link has them filled in).\n   {}",
        page(&format!("auth?q={permissions}&token_type=tenant"))
    )?;
    writeln!(
        out,
        "3. Start the daemon, since Feishu looks for it in the next step."
    )?;
    for line in start(files, service) {
        writeln!(out, "   {line}")?;
    }
    let way = if answers.is_webhook() {
        "by webhook, at http://YOUR-DOMAIN/api/v1/channels/xiaoo/events".to_owned()
    } else {
        "through the persistent connection".to_owned()
    };
    writeln!(
        out,
        "4. Events & Callbacks: receive both {way}.\n   \
         Event: im.message.receive_v1. Callback: card.action.trigger.\n   {}",
        page("event")
    )?;
    writeln!(
        out,
        "5. Publish a version. Drafts receive nothing.\n   {}",
        page("version")
    )?;
    writeln!(
        out,
        "6. Write to the bot. If it is silent: xiaoo-app doctor\n"
    )?;
    if let Some(code) = qr(&console(answers.base_url.text(), &app)) {
        writeln!(out, "The console on your phone:\n\n{code}")?;
    }
    Ok(())
}

fn start(files: &Files, service: &Service) -> Vec<String> {
    if service.unit.is_some() {
        let mut lines = vec![
            "systemctl daemon-reload".to_owned(),
            "systemctl enable --now xiaoo-rebuild.service".to_owned(),
        ];
        if service.site.is_some() {
            lines.push("nginx -t && systemctl reload nginx".to_owned());
        }
        return lines;
    }
    vec![
        format!(
            "set -a; . {}; set +a",
            shell_word(&files.env_path().display().to_string())
        ),
        format!(
            "xiaoo-app daemon --config {}",
            shell_word(&files.path().display().to_string())
        ),
    ]
}

fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    if word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Dark on light whatever the terminal's colours are would need colours; as it is, phones read
/// both.
fn qr(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    Some(code.render::<Dense1x2>().quiet_zone(true).build())
}
