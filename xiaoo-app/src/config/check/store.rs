//! `[store]`: where it is, and the server's password.

use secrecy::ExposeSecret as _;
use xiaoo_store::{PostgresUrl, StoreUrl};

use super::{Checker, KEY_BYTES_MAX};
use crate::config::environment;
use crate::config::section::Section;
use crate::config::{AgentConfig, StoreConfig};

impl Checker<'_> {
    pub(super) fn store(
        &mut self,
        section: &Section<'_>,
        agent: Option<&AgentConfig>,
    ) -> Option<StoreConfig> {
        let url = match section.text("url") {
            None => StoreUrl::Sqlite(self.usual_file(section, agent)?),
            Some(written) => match written.value.parse() {
                Ok(StoreUrl::Sqlite(path)) => {
                    StoreUrl::Sqlite(self.resolve(&path.to_string_lossy()))
                }
                Ok(StoreUrl::Postgres(url)) => {
                    return self.server(section, url);
                }
                // An engine that knows neither files nor passwords.
                Ok(url) => url,
                Err(why) => {
                    self.error(&written, why.to_string());
                    return None;
                }
            },
        };
        if let Some(written) = section.text("password_env") {
            let message = "only a server wants a password: a url that begins with postgres://";
            self.error(&written, message);
            return None;
        }
        Some(StoreConfig { url })
    }

    fn usual_file(
        &mut self,
        section: &Section<'_>,
        agent: Option<&AgentConfig>,
    ) -> Option<std::path::PathBuf> {
        let path = match agent?.agent_dir.as_ref() {
            Some(directory) => Some(directory.join("xiaoo.db")),
            None => environment::default_store(self.env),
        };
        if path.is_none() {
            let message = "missing; without `agent_dir` and without HOME there is no usual place: \
                           for example `url = \"sqlite:/var/lib/xiaoo/xiaoo.db\"`";
            self.error(&section.missing("url"), message);
        }
        path
    }

    fn server(&mut self, section: &Section<'_>, url: PostgresUrl) -> Option<StoreConfig> {
        let url = match section.text("password_env") {
            None => environment::with_usual_password(url, self.env),
            Some(written) if url.has_password() => {
                self.error(&written, "the url holds a password already: take one away");
                return None;
            }
            Some(_) => {
                let password = self.secret(section, "password_env", KEY_BYTES_MAX)?;
                url.with_password(password.expose_secret())
            }
        };
        Some(StoreConfig {
            url: StoreUrl::Postgres(url),
        })
    }
}
