//! What models cost, in whole numbers: sums of them are exact.

use toml::de::DeValue;

use super::section::count;
use super::{Config, EndpointConfig};

/// What a million tokens of one model cost, in millionths of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Of what it reads.
    pub input: u64,
    /// Of what it reads and its server still knew from before.
    pub cached_input: u64,
    /// Of what it writes.
    pub output: u64,
}

/// The prices of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// What they are in. Only shown.
    pub currency: String,
    /// The models that have one, by name; each name once.
    pub models: Vec<(String, Price)>,
}

impl Config {
    /// What its models cost, as far as it says.
    #[must_use]
    pub fn prices(&self) -> Prices {
        let of = |endpoint: &EndpointConfig| Some((endpoint.model.clone(), endpoint.price?));
        let endpoints = core::iter::once(&self.llm.main).chain(&self.llm.fallbacks);
        let own = self
            .agents
            .iter()
            .filter_map(|agent| Some((agent.model.clone()?, agent.price?)));
        let mut models: Vec<(String, Price)> = Vec::new();
        for (model, price) in endpoints.filter_map(of).chain(own) {
            if models.iter().all(|(known, _)| *known != model) {
                models.push((model, price));
            }
        }
        Prices {
            currency: self.llm.currency.clone(),
            models,
        }
    }
}

/// The most that a million tokens may cost. Hundreds are what the dearest models take; in the
/// smallest money of the world that is some millions.
pub(super) const PRICE_MAX: u64 = 1_000_000_000;
/// Decimals of a price.
pub(super) const DECIMALS_MAX: usize = 6;
const MILLIONTHS: u64 = 1_000_000;

/// A price in millionths, exactly; `None` for what is none.
pub(super) fn millionths(written: &DeValue<'_>) -> Option<u64> {
    let price = match written {
        DeValue::Integer(_) => count(written)?.checked_mul(MILLIONTHS)?,
        DeValue::Float(number) => decimal(number.as_str())?,
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return None,
    };
    (price <= PRICE_MAX * MILLIONTHS).then_some(price)
}

fn decimal(text: &str) -> Option<u64> {
    let (whole, part) = text.strip_prefix('+').unwrap_or(text).split_once('.')?;
    let part = part.trim_end_matches('0');
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > DECIMALS_MAX || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: u64 = format!("{part:0<DECIMALS_MAX$}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(MILLIONTHS)?
        .checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_to_the_last_digit_or_not_at_all() {
        for (written, expected) in [
            ("0", Some(0)),
            ("3", Some(3_000_000)),
            ("0.27", Some(270_000)),
            ("0.000001", Some(1)),
            ("+1.50000000", Some(1_500_000)),
            ("1_000.5", Some(1_000_500_000)),
            ("1000000000", Some(PRICE_MAX * MILLIONTHS)),
            ("1000000000.000001", None),
            ("18446744073709551616", None),
            ("0.0000001", None),
            ("-1", None),
            ("-0.5", None),
            ("1e-3", None),
            ("1.5e3", None),
            ("inf", None),
            ("nan", None),
            ("\"0.27\"", None),
            ("true", None),
        ] {
            let text = format!("price = {written}");
            let table = toml::de::DeTable::parse(&text).unwrap();
            let value = table.get_ref().get("price").unwrap().get_ref();
            assert_eq!(millionths(value), expected, "{written}");
        }
    }
}
