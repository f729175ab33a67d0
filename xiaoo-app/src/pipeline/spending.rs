//! What models have cost.
//!
//! Whoever works only counts tokens; sums are made of them for whoever asks, in whole numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use xiaoo_agent::ModelUsage;

use crate::config::{Price, Prices};

/// The tokens of the models that have a price; they only grow.
#[derive(Debug, Default)]
pub struct Spending {
    currency: String,
    models: Vec<Spent>,
}

#[derive(Debug)]
struct Spent {
    model: String,
    price: Price,
    /// Read, without those that were cached.
    input: AtomicU64,
    cached_input: AtomicU64,
    output: AtomicU64,
}

/// A sum of money, in millionths of millionths: prices are millionths of a currency for a million
/// tokens, and no digit of their sums is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u128);

impl Spending {
    /// With these prices, and nothing spent.
    #[must_use]
    pub fn new(prices: &Prices) -> Self {
        let models = prices.models.iter().map(|(model, price)| Spent {
            model: model.clone(),
            price: *price,
            input: AtomicU64::new(0),
            cached_input: AtomicU64::new(0),
            output: AtomicU64::new(0),
        });
        Self {
            currency: prices.currency.clone(),
            models: models.collect(),
        }
    }

    /// Counts what a turn has used.
    pub fn count(&self, used: &[ModelUsage]) {
        for ModelUsage { model, usage, .. } in used {
            let Some(spent) = self.models.iter().find(|spent| spent.model == *model) else {
                continue;
            };
            let cached = usage.cached_tokens.min(usage.prompt_tokens);
            for (count, tokens) in [
                (&spent.input, usage.prompt_tokens - cached),
                (&spent.cached_input, cached),
                (&spent.output, usage.completion_tokens),
            ] {
                count.fetch_add(tokens, Ordering::Relaxed);
            }
        }
    }

    /// What costs are in.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What each model has cost.
    pub fn costs(&self) -> impl Iterator<Item = (&str, Cost)> {
        let models = self.models.iter();
        models.map(|spent| (spent.model.as_str(), spent.cost()))
    }
}

impl Spent {
    fn cost(&self) -> Cost {
        let parts = [
            (&self.input, self.price.input),
            (&self.cached_input, self.price.cached_input),
            (&self.output, self.price.output),
        ];
        // Prices have a bound: the product of 64 bits and 50 fits.
        let sum = parts
            .map(|(tokens, price)| u128::from(tokens.load(Ordering::Relaxed)) * u128::from(price));
        Cost(sum.iter().sum())
    }
}

impl Cost {
    /// As near as a number with a point comes to it.
    #[must_use]
    pub fn units(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

#[cfg(test)]
mod tests {
    use xiaoo_agent::Usage;

    use super::*;

    fn used(model: &str, prompt: u64, cached: u64, completion: u64) -> ModelUsage {
        ModelUsage {
            model: model.to_owned(),
            usage: Usage {
                prompt_tokens: prompt,
                cached_tokens: cached,
                completion_tokens: completion,
                total_tokens: prompt + completion,
            },
            requests: 1,
        }
    }

    fn spending() -> Spending {
        let price = |input, cached_input, output| Price {
            input,
            cached_input,
            output,
        };
        Spending::new(&Prices {
            currency: "CNY".into(),
            models: vec![
                ("dear".into(), price(2_000_000, 500_000, 8_000_000)),
                ("odd".into(), price(1, 0, 3)),
            ],
        })
    }

    #[test]
    fn sums_are_exact_to_the_last_digit() {
        let spending = spending();
        assert_eq!(spending.currency(), "CNY");
        // A thousand turns of a price that no binary fraction is.
        for _ in 0..1000 {
            spending.count(&[used("odd", 7, 2, 1), used("dear", 1_000, 400, 100)]);
            spending.count(&[used("free", 1_000_000, 0, 1_000_000)]);
        }
        let costs: Vec<_> = spending.costs().collect();
        assert_eq!(
            costs,
            [
                (
                    "dear",
                    Cost(1000 * (600 * 2_000_000 + 400 * 500_000 + 100 * 8_000_000))
                ),
                ("odd", Cost(1000 * (5 + 3))),
            ]
        );
        assert_eq!(costs[0].1.units(), 2.2);
        assert_eq!(costs[1].1.units(), 0.000_000_008);
    }

    #[test]
    fn no_sum_is_too_large() {
        let most = Price {
            input: u64::MAX,
            cached_input: 0,
            output: 0,
        };
        let spending = Spending::new(&Prices {
            currency: "CNY".into(),
            models: vec![("m".into(), most)],
        });
        spending.count(&[used("m", u64::MAX, 0, 0)]);
        let costs: Vec<_> = spending.costs().collect();
        let most = u128::from(u64::MAX) * u128::from(u64::MAX);
        assert_eq!(costs, [("m", Cost(most))]);
    }
}
