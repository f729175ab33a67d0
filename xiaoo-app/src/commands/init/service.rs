//! The systemd unit and the nginx site, when they are wanted: the same as in `deploy/`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::answers::{Answer, Answers};
use super::files::{self, Files, SERVERS_CONFIG};
use super::talk::Talk;
use super::texts::Texts;
use crate::cli::InitArgs;
use crate::systemd::unit;

const UNIT: &str = include_str!("../../../../deploy/systemd/xiaoo-rebuild.service");
const SITE: &str = include_str!("../../../../deploy/nginx/xiaoo.conf");
/// The name that the site has until it is given another.
const SITES_NAME: &str = "bot.example.com";
/// Where the site goes: as nginx reads it.
pub const SITE_PATH: &str = "/etc/nginx/conf.d/xiaoo.conf";

/// Files to write beside the configuration.
#[derive(Debug, Default)]
pub(super) struct Service {
    unit: Option<PathBuf>,
    pub(super) site: Option<PathBuf>,
    server_name: String,
    /// Whether the daemon is started as a service.
    pub(super) has_unit: bool,
}

impl Service {
    /// As flags say; on a server a person is asked.
    pub(super) fn wanted(
        args: &InitArgs,
        answers: &Answers,
        files: &Files,
        talk: &mut Talk<'_, impl Write>,
    ) -> anyhow::Result<Self> {
        let texts = talk.texts;
        let machine = Path::new("/");
        let is_server = files.path() == Path::new(SERVERS_CONFIG);
        let is_first = files.document().is_first_bot();
        let mut service = Self {
            unit: args.systemd_unit.clone(),
            site: args.nginx_site.clone(),
            server_name: args.server_name.clone().unwrap_or_default(),
            has_unit: false,
        };
        if is_server && service.unit.is_none() {
            // The package's goes on with the package; one of the operator's own would hide it.
            let usual = !unit::is_packaged(machine);
            if talk.agrees(texts.write_unit, usual)? == Some(true) {
                service.unit = Some(unit::UNIT_PATH.into());
            }
        }
        let may_have_site = is_server && answers.is_webhook() && is_first;
        if may_have_site
            && service.site.is_none()
            && talk.agrees(texts.write_site, true)? == Some(true)
        {
            service.site = Some(SITE_PATH.into());
        }
        if service.unit.is_some() && !is_server {
            let this = files.path().display().to_string();
            bail!((texts.unit_is_for)(SERVERS_CONFIG, &this));
        }
        if service.site.is_some() && !answers.is_webhook() {
            bail!(texts.site_is_for_webhooks);
        }
        if service.site.is_some() && !is_first {
            bail!(texts.site_is_for_the_first);
        }
        if service.site.is_some() {
            let mut name = Answer {
                is_given: !service.server_name.is_empty(),
                value: Some(service.server_name),
            };
            let is_name = |answer: &str| match is_server_name(answer) {
                true => Ok(()),
                false => Err(texts.server_name_shape.to_owned()),
            };
            talk.asks(&mut name, texts.server_name, is_name)?;
            service.server_name = name.value.unwrap_or_default();
        }
        let is_installed = is_server && unit::installed(machine).is_some();
        service.has_unit = service.unit.is_some() || is_installed;
        Ok(service)
    }

    /// Whether something that is there would be another.
    pub(super) fn replaces(&self) -> bool {
        self.texts()
            .iter()
            .any(|(path, text)| fs::read_to_string(path).is_ok_and(|before| before != *text))
    }

    /// What writing would do, a line for each.
    pub(super) fn changes(&self, texts: &'static Texts) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, text) in self.texts() {
            let name = path.display();
            match fs::read_to_string(path) {
                Ok(before) if before == text => {}
                Ok(_) => changes.push(format!("{name} ({})", texts.replaced)),
                Err(_) => changes.push(format!("{name} ({})", texts.new)),
            }
        }
        changes
    }

    /// Writes them.
    pub(super) fn write(&self, texts: &'static Texts) -> anyhow::Result<()> {
        for (path, text) in self.texts() {
            files::write(path, &text, None, texts)?;
        }
        Ok(())
    }

    fn texts(&self) -> Vec<(&Path, String)> {
        let site = || SITE.replace(SITES_NAME, &self.server_name);
        let unit = self.unit.as_deref().map(|path| (path, UNIT.to_owned()));
        let site = self.site.as_deref().map(|path| (path, site()));
        unit.into_iter().chain(site).collect()
    }
}

/// It becomes a word of nginx's configuration.
fn is_server_name(answer: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    !answer.is_empty() && answer.bytes().all(is_of_name)
}
