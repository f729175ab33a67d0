//! `[llm]`.

use std::time::Duration;

use serde_json::Map;
use xiaoo_agent::Provider;

use super::super::section::{Section, Spot};
use super::super::{EndpointConfig, LlmConfig, Price, schema};
use super::{Checker, KEY_BYTES_MAX, small};

impl Checker<'_> {
    pub(super) fn llm(&mut self, section: &Section<'_>) -> Option<LlmConfig> {
        if !section.is_present() {
            return None;
        }
        let main = self.endpoint(section, None);
        let fallbacks: Vec<EndpointConfig> = section
            .sections("fallbacks")
            .iter()
            .filter_map(|fallback| self.endpoint(fallback, main.as_ref()))
            .collect();
        Some(LlmConfig {
            main: main?,
            fallbacks,
            timeout: Duration::from_secs(section.count("timeout_secs")),
            currency: self.currency(section),
        })
    }

    /// A label of the metrics, so one short word.
    fn currency(&mut self, section: &Section<'_>) -> String {
        let written = section.text_or_default("currency");
        let is_word = written.value.chars().all(char::is_alphanumeric);
        if !is_word || !(1..=CURRENCY_BYTES_MAX).contains(&written.value.len()) {
            let message = format!("one word of at most {CURRENCY_BYTES_MAX} bytes, such as CNY");
            self.error(&written, message);
        }
        written.value.to_owned()
    }

    /// What the model of this section costs. Models are counted by name, so a name has one
    /// price.
    pub(super) fn price(&mut self, section: &Section<'_>, model: &str) -> Option<Price> {
        let names = ["input_price", "output_price"];
        let missing = names.into_iter().find(|name| !section.has(name));
        let one = names.into_iter().chain(["cached_input_price"]);
        if let Some(missing) = missing {
            if let Some(there) = one.into_iter().find(|name| section.has(name)) {
                let message = format!("missing; `{there}` alone says not what the model costs");
                self.error(&section.missing(missing), message);
            }
            return None;
        }
        let input = section.price("input_price")?;
        let price = Price {
            input,
            cached_input: section.price("cached_input_price").unwrap_or(input),
            output: section.price("output_price")?,
        };
        match self.prices.iter().find(|(known, _)| known == model) {
            Some((_, other)) if *other != price => {
                let message = format!(
                    "{model:?} has another price above; models of one name are counted together"
                );
                self.error(&section.spot_at("input_price"), message);
            }
            Some(_) => {}
            None => self.prices.push((model.to_owned(), price)),
        }
        Some(price)
    }

    /// One model; one that names no server of its own is at that of `beside`.
    fn endpoint(
        &mut self,
        section: &Section<'_>,
        beside: Option<&EndpointConfig>,
    ) -> Option<EndpointConfig> {
        section.demand_required(&mut self.report);
        let model = section.text("model");
        let model = model.and_then(|model| self.not_blank(model));
        let price = model
            .as_deref()
            .and_then(|model| self.price(section, model));
        let own = EndpointConfig {
            price,
            max_tokens: small(section.optional_count("max_tokens")),
            context_window: small(section.optional_count("context_window")),
            vision: section.flag("vision"),
            extra_body: section.free("extra_body"),
            ..self.model_server(section, beside)?
        };
        Some(EndpointConfig {
            model: model?,
            ..own
        })
    }

    /// Where a model is, and how one is let in.
    fn model_server(
        &mut self,
        section: &Section<'_>,
        beside: Option<&EndpointConfig>,
    ) -> Option<EndpointConfig> {
        let api_key = self.secret(section, "api_key_env", KEY_BYTES_MAX);
        let api_base = section.text("api_base");
        if let Some(beside) = beside
            && api_base.is_none()
            && !section.has("provider")
        {
            return Some(EndpointConfig {
                api_key: api_key.or_else(|| beside.api_key.clone()),
                ..beside.clone()
            });
        }
        let provider = match beside {
            Some(beside) if !section.has("provider") => Some(beside.provider),
            Some(_) | None => self.provider(section, api_base.is_some()),
        };
        let api_base = match api_base {
            Some(written) => self.api_base(&written),
            None => provider
                .and_then(Provider::default_api_base)
                .map(str::to_owned),
        };
        if let Some(provider) = provider
            && provider.needs_api_key()
            && !section.has_or_means("api_key_env")
        {
            let message = format!(
                "missing; {provider} wants a key: name the environment variable that holds it"
            );
            self.error(&section.missing("api_key_env"), message);
        }
        Some(EndpointConfig {
            provider: provider?,
            api_base: api_base?,
            api_key,
            model: String::new(),
            max_tokens: None,
            context_window: None,
            vision: false,
            price: None,
            extra_body: Map::new(),
        })
    }

    /// An unknown provider at a known address is taken for an ordinary one.
    fn provider(&mut self, section: &Section<'_>, has_address: bool) -> Option<Provider> {
        let written = section.text("provider")?;
        if let Some(provider) = Provider::from_name(written.value) {
            if !has_address && provider.default_api_base().is_none() {
                let message = format!("missing; only you know where {provider} answers");
                self.error(&section.missing("api_base"), message);
            }
            return Some(provider);
        }
        let names = Provider::ALL.map(Provider::name);
        if has_address {
            let message = format!(
                "{:?} is not known by name; spoken to as \"compatible\"",
                written.value
            );
            self.warn(&written, message);
            return Some(Provider::Compatible);
        }
        let meant = match schema::nearest(written.value, names) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None => format!(
                "; known are {}; any other needs `api_base`",
                names.join(", ")
            ),
        };
        self.error(&written, format!("{:?} is not known{meant}", written.value));
        None
    }

    fn api_base(&mut self, written: &Spot<&str>) -> Option<String> {
        let url = self.url(written)?;
        match url.strip_suffix("/chat/completions") {
            Some(base) => {
                self.warn(written, "`/chat/completions` is added by itself; left out");
                Some(base.to_owned())
            }
            None => Some(url),
        }
    }
}

/// Names of currencies are three letters, or a sign.
const CURRENCY_BYTES_MAX: usize = 16;
