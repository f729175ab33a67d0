//! The systemd unit and the nginx site, when they are wanted: the same as in `deploy/`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::answers::Answers;
use super::files;
use super::terminal::Person;
use crate::cli::InitArgs;

const UNIT: &str = include_str!("../../../../deploy/systemd/xiaoo-rebuild.service");
const SITE: &str = include_str!("../../../../deploy/nginx/xiaoo.conf");
/// Where the unit looks for the configuration.
const UNITS_CONFIG: &str = "/opt/xiaoo/config/config.toml";
/// The name that the site has until it is given another.
const SITES_NAME: &str = "bot.example.com";
/// Where they go.
pub const UNIT_PATH: &str = "/etc/systemd/system/xiaoo-rebuild.service";
/// As nginx reads it.
pub const SITE_PATH: &str = "/etc/nginx/conf.d/xiaoo.conf";

/// Files to write beside the configuration.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) unit: Option<PathBuf>,
    pub(super) site: Option<PathBuf>,
    server_name: String,
}

impl Service {
    /// As flags say; on a server a person is asked.
    pub(super) fn wanted(
        args: &InitArgs,
        answers: &Answers,
        config: &Path,
        mut person: Option<&mut Person>,
        out: &mut impl Write,
    ) -> anyhow::Result<Self> {
        let is_server = config == Path::new(UNITS_CONFIG);
        let mut service = Self {
            unit: args.systemd_unit.clone(),
            site: args.nginx_site.clone(),
            server_name: args.server_name.clone().unwrap_or_default(),
        };
        if let Some(person) = person.as_deref_mut()
            && is_server
        {
            if service.unit.is_none() && person.agrees("Write the systemd unit?", true, out)? {
                service.unit = Some(UNIT_PATH.into());
            }
            if service.site.is_none()
                && answers.is_webhook()
                && person.agrees("Write the nginx site?", true, out)?
            {
                service.site = Some(SITE_PATH.into());
            }
        }
        if service.unit.is_some() && !is_server {
            bail!(
                "the unit is for {UNITS_CONFIG}, and this is {}: run init with --config \
                 {UNITS_CONFIG}; nothing was written",
                config.display()
            );
        }
        if service.site.is_some() && !answers.is_webhook() {
            bail!("the long connection needs no nginx: --nginx-site is for --transport webhook");
        }
        if let Some(person) = person
            && service.site.is_some()
            && service.server_name.is_empty()
        {
            let question = "The public name or address of this machine";
            service.server_name = person.asked(question, None, is_server_name, out)?;
        }
        if service.site.is_some()
            && let Err(why) = is_server_name(&service.server_name)
        {
            bail!("--server-name {:?}: {why}", service.server_name);
        }
        Ok(service)
    }

    /// Whether something that is there would be another.
    pub(super) fn replaces(&self) -> bool {
        self.texts()
            .iter()
            .any(|(path, text)| fs::read_to_string(path).is_ok_and(|before| before != *text))
    }

    /// What writing would do, a line for each.
    pub(super) fn changes(&self) -> anyhow::Result<Vec<String>> {
        let mut changes = Vec::new();
        for (path, text) in self.texts() {
            let name = path.display();
            match fs::read_to_string(path) {
                Ok(before) if before == text => {}
                Ok(_) => changes.push(format!("{name} (replaced)")),
                Err(_) => changes.push(format!("{name} (new)")),
            }
        }
        Ok(changes)
    }

    /// Writes them.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        for (path, text) in self.texts() {
            files::write(path, &text, None)?;
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
fn is_server_name(answer: &str) -> Result<(), String> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    if !answer.is_empty() && answer.bytes().all(is_of_name) {
        Ok(())
    } else {
        Err("A name is letters, digits, dots and dashes.".to_owned())
    }
}
