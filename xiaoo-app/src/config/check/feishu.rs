//! `[channels.feishu]`.

use std::time::Duration;

use proto_core::{HOST_BYTES_MAX, SECRET_BYTES_MAX};
use reqwest::Url;
use secrecy::SecretString;

use super::super::section::{Section, Spot};
use super::super::{
    Access, AccessConfig, AgentConfig, ChatConfig, Cloud, DirectAccess, FeishuConfig,
    ProgressStyle, Transport,
};
use super::{Checker, KEY_BYTES_MAX, NAME_BYTES_MAX, small};

/// What describes the bots of a channel, the first one in front.
pub(super) fn bots<'a>(section: &Section<'a>) -> Vec<Section<'a>> {
    let accounts = section.sections("accounts");
    // With accounts, the section itself need not be a bot.
    let own = (accounts.is_empty() || section.has_or_means("app_id")).then(|| section.clone());
    let enabled = accounts
        .into_iter()
        .filter(|account| account.flag("enabled"));
    own.into_iter().chain(enabled).collect()
}

impl Checker<'_> {
    /// The bots; none when the channel is off, `None` when something is wrong with one.
    pub(super) fn channels(
        &mut self,
        section: &Section<'_>,
        agents: &[AgentConfig],
    ) -> Option<Vec<FeishuConfig>> {
        if !section.is_present() || !section.flag("enabled") {
            let message = "no channel is enabled; nobody will be answered";
            self.warn(&section.spot(), message);
            return Some(Vec::new());
        }
        let mut channels: Vec<FeishuConfig> = Vec::new();
        let mut is_whole = true;
        for section in bots(section) {
            match self.bot(&section, agents) {
                Some(bot) => {
                    self.bot_is_another(&section, &bot, &channels);
                    channels.push(bot);
                }
                None => is_whole = false,
            }
        }
        is_whole.then_some(channels)
    }

    /// Two bots of one daemon share neither app nor name, and the usual routes are the first's.
    fn bot_is_another(
        &mut self,
        section: &Section<'_>,
        bot: &FeishuConfig,
        others: &[FeishuConfig],
    ) {
        if others.iter().any(|other| other.instance == bot.instance) {
            let message = format!(
                "{:?} is another bot's already; each has its own",
                bot.instance
            );
            self.error(&section.spot_at("channel_instance_id"), message);
        }
        let is_usual = matches!(bot.instance.as_str(), "feishu" | "xiaoo");
        if is_usual && !others.is_empty() {
            let message = format!(
                "the route of {:?} is the first bot's; name this one",
                bot.instance
            );
            self.error(&section.spot_at("channel_instance_id"), message);
        }
        if others.iter().any(|other| other.app_id == bot.app_id) {
            let message = format!("{} is another bot's already", bot.app_id);
            self.error(&section.spot_at("app_id"), message);
        }
    }

    fn bot(&mut self, section: &Section<'_>, agents: &[AgentConfig]) -> Option<FeishuConfig> {
        section.demand_required(&mut self.report);
        let transport = match section.choice("transport") {
            "webhook" => Some(Transport::Webhook),
            "websocket" => Some(Transport::Websocket),
            _ => None,
        };
        let app_id = self.app_id(section);
        let app_secret = self.secret(section, "app_secret_env", KEY_BYTES_MAX);
        let verification_token = self.verification_token(section);
        let encrypt_key = self.secret(section, "encrypt_key_env", SECRET_BYTES_MAX);
        if transport == Some(Transport::Webhook) {
            self.origin_is_proven(section);
        }
        let base_url = self.base_url(section);
        let access = self.access(section);
        let reaction = self.reaction(section);
        let progress = self.progress(section);
        let instance = self.instance(section);
        let allowed_ws_hosts = self.allowed_ws_hosts(section);
        let (base_url, base_url_is_loopback) = base_url?;
        Some(FeishuConfig {
            transport: transport?,
            app_id: app_id?,
            app_secret: app_secret?,
            verification_token,
            encrypt_key,
            accept_unverified_events: section.flag("accept_unverified_events"),
            base_url,
            base_url_is_loopback,
            instance,
            access,
            reaction,
            progress,
            recover_after: section
                .optional_count("recover_after_secs")
                .map(Duration::from_secs),
            ca_file: self.path(section, "ca_file"),
            allowed_ws_hosts,
            agent: self.bound_agent(section, agents),
            max_concurrent_turns: section
                .optional_count("max_concurrent_turns")
                .and_then(|count| usize::try_from(count).ok()),
        })
    }

    fn bound_agent(&mut self, section: &Section<'_>, agents: &[AgentConfig]) -> Option<String> {
        let written = section.text("agent")?;
        if !agents.iter().any(|agent| agent.id == written.value) {
            let known = agents.iter().map(|agent| agent.id.as_str()).collect();
            self.unknown_agent(&written, known);
        }
        Some(written.value.to_owned())
    }

    fn app_id(&mut self, section: &Section<'_>) -> Option<String> {
        let written = section.text("app_id")?;
        let Some(rest) = written.value.strip_prefix("cli_") else {
            let message = "an App ID begins with `cli_`; copy it from the app's credentials page";
            self.error(&written, message);
            return None;
        };
        // Every App ID seen so far is 16 hex digits; nothing promises it.
        let is_usual = rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) || rest.is_empty() {
            self.error(&written, "an App ID is `cli_` and letters and digits");
            return None;
        }
        if !is_usual {
            let message = "does not look like an App ID (`cli_` and 16 hex digits); a placeholder?";
            self.warn(&written, message);
        }
        Some(written.value.to_owned())
    }

    fn verification_token(&mut self, section: &Section<'_>) -> Option<SecretString> {
        let written = section.text("verification_token")?;
        let fits = written.value.len() <= SECRET_BYTES_MAX;
        if !fits {
            let message = format!("longer than {SECRET_BYTES_MAX} bytes, which no token is");
            self.error(&written, message);
        }
        let token = self.not_blank(written)?;
        fits.then(|| SecretString::from(token))
    }

    /// Guarantee: nobody can speak as somebody else, unless the operator wrote so.
    fn origin_is_proven(&mut self, section: &Section<'_>) {
        let has = |name| section.has_or_means(name);
        if has("verification_token") || has("encrypt_key_env") {
            return;
        }
        let spot = section.missing("verification_token");
        if section.flag("accept_unverified_events") {
            let message = "webhook events are taken in without any proof of their origin";
            self.warn(&spot, message);
        } else {
            let message = "missing; without it (or `encrypt_key_env`) anyone who finds the URL \
                           can speak as anyone: copy the Verification Token from the app's \
                           event page";
            self.error(&spot, message);
        }
    }

    /// The address, and whether it is on this machine.
    fn base_url(&mut self, section: &Section<'_>) -> Option<(String, bool)> {
        let Some(written) = section.text("base_url") else {
            let cloud = Cloud::of_domain(section.choice("domain")).unwrap_or(Cloud::Feishu);
            return Some((cloud.base_url().to_owned(), false));
        };
        let url = self.url(&written)?;
        if url.ends_with("/open-apis") {
            self.error(&written, "leave `/open-apis` out");
            return None;
        }
        let is_loopback = is_loopback(&url);
        if url.starts_with("http:") && !is_loopback {
            let message = "the App Secret would travel unencrypted; use https";
            self.error(&written, message);
            return None;
        }
        Some((url, is_loopback))
    }

    fn access(&mut self, section: &Section<'_>) -> AccessConfig {
        let allow_users = self.ids(section, "allow_users", "ou_", "an open id");
        let allow_chats = self.ids(section, "allow_chats", "oc_", "a chat id");
        let admins = self.ids(section, "admins", "ou_", "an open id");
        let chats = section.named_sections("chats");
        let chats = chats
            .into_iter()
            .filter_map(|(name, chat)| {
                Some(ChatConfig {
                    chat_id: self.id(&name, "oc_", "a chat id")?,
                    enabled: chat.optional_flag("enabled"),
                    require_mention: chat.optional_flag("require_mention"),
                    respond_to_all: chat.optional_flag("respond_to_all"),
                })
            })
            .collect();
        let access = AccessConfig {
            dm_policy: match section.choice("dm_policy") {
                "allowlist" => DirectAccess::Allowlist,
                "pairing" => DirectAccess::Pairing,
                "disabled" => DirectAccess::Disabled,
                _ => DirectAccess::Open,
            },
            group_policy: match section.choice("group_policy") {
                "allowlist" => Access::Allowlist,
                "disabled" => Access::Disabled,
                _ => Access::Open,
            },
            require_mention: section.flag("require_mention"),
            respond_to_all: section.flag("respond_to_all"),
            allow_users,
            allow_chats,
            admins,
            chats,
            allow_bots: section.flag("allow_bots"),
            bot_turns_max: small(Some(section.count("bot_turns_max"))).unwrap_or(u32::MAX),
        };
        if access.dm_policy == DirectAccess::Pairing && access.admins.is_empty() {
            let message = "lets nobody in: the codes are for `admins`, and there are none";
            self.warn(&section.missing("dm_policy"), message);
        }
        if access.dm_policy == DirectAccess::Allowlist
            && access.allow_users.is_empty()
            && access.admins.is_empty()
        {
            let message = "lets nobody in: `allow_users` is empty";
            self.warn(&section.missing("dm_policy"), message);
        }
        access
    }

    fn ids(&mut self, section: &Section<'_>, name: &str, prefix: &str, what: &str) -> Vec<String> {
        let written = section.texts(name);
        written
            .iter()
            .filter_map(|item| self.id(item, prefix, what))
            .collect()
    }

    pub(super) fn id(&mut self, written: &Spot<&str>, prefix: &str, what: &str) -> Option<String> {
        let is_one = written.value.len() > prefix.len() && written.value.starts_with(prefix);
        if !is_one {
            let message = format!("{:?}: {what} begins with `{prefix}`", written.value);
            self.error(written, message);
        }
        is_one.then(|| written.value.to_owned())
    }

    fn reaction(&mut self, section: &Section<'_>) -> Option<String> {
        let written = section.text_or_default("reaction");
        if matches!(written.value, "" | "off") {
            return None;
        }
        let is_emoji = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !written.value.bytes().all(is_emoji) {
            let message =
                "one of Feishu's emoji names, such as `Get`, `OK` or `THUMBSUP`, or `off`";
            self.error(&written, message);
        }
        Some(written.value.to_owned())
    }

    fn progress(&mut self, section: &Section<'_>) -> ProgressStyle {
        match section.choice("progress") {
            "stream" => {
                let message = "the growing answer is not shown yet; a card is";
                self.warn(&section.spot_at("progress"), message);
                ProgressStyle::Stream
            }
            "off" => ProgressStyle::Off,
            _ => ProgressStyle::Card,
        }
    }

    pub(super) fn instance(&mut self, section: &Section<'_>) -> String {
        let written = section.text_or_default("channel_instance_id");
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let fits = (1..=NAME_BYTES_MAX).contains(&written.value.len());
        if !fits || !written.value.bytes().all(is_plain) {
            let message = format!("letters, digits, `_`, `-` and `.`, at most {NAME_BYTES_MAX}");
            self.error(&written, message);
        }
        written.value.to_owned()
    }

    fn allowed_ws_hosts(&mut self, section: &Section<'_>) -> Vec<String> {
        let written = section.texts("allowed_ws_hosts");
        if written.len() > ALLOWED_WS_HOSTS_MAX {
            let message = "one host, or one suffix with a leading dot, which covers many";
            self.error(&section.missing("allowed_ws_hosts"), message);
        }
        for host in &written {
            let name = host.value.strip_prefix('.').unwrap_or(host.value);
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            let fits = (1..HOST_BYTES_MAX).contains(&name.len());
            if !fits || name.starts_with('.') || !name.bytes().all(is_host) {
                let message = format!(
                    "{:?} is no host name; leave scheme and port out",
                    host.value
                );
                self.error(host, message);
            }
        }
        written.iter().map(|host| host.value.to_owned()).collect()
    }
}

/// What the long-connection machine has room for.
const ALLOWED_WS_HOSTS_MAX: usize = 1;

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}
