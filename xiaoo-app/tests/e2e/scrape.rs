//! Prometheus' text format, read strictly: whatever the format forbids fails the test.

use std::collections::BTreeMap;

/// What `/metrics` said.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Each family with its type.
    pub families: BTreeMap<String, String>,
    /// Each sample, written as in the format, without its value.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut family = String::new();
        let mut helped = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(!words.is_empty() && !words.contains('\\'), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(helped, name, "help comes before the type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = scrape.families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "a family comes once: {line}");
                family = name.to_owned();
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
                assert!(is_of(name, &family, &scrape.families[&family]), "{line}");
                check_labels(labels.strip_suffix('}').unwrap());
                let value = value.parse::<f64>().unwrap();
                assert!(value.is_finite() && value >= 0.0, "{line}");
                let before = scrape.samples.insert(sample.to_owned(), value);
                assert_eq!(before, None, "a sample comes once: {line}");
            }
        }
        scrape.check_histograms();
        scrape
    }

    /// The value of a sample; 0 where there is none.
    pub fn get(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or_default()
    }

    pub fn has(&self, sample: &str) -> bool {
        self.samples.contains_key(sample)
    }

    /// Names that a query may use.
    pub fn has_name(&self, name: &str) -> bool {
        let name_of = |sample: &str| sample.split('{').next().unwrap().to_owned();
        self.samples.keys().any(|sample| name_of(sample) == name)
    }

    /// Buckets grow with their bounds, and the last one holds all.
    fn check_histograms(&self) {
        let histograms = self
            .families
            .iter()
            .filter(|(_, kind)| *kind == "histogram");
        for (name, _) in histograms {
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter(|(sample, _)| sample.starts_with(&format!("{name}_bucket{{")))
                .map(|(sample, value)| {
                    let bound = sample.split("le=\"").nth(1).unwrap();
                    let bound = bound.trim_end_matches("\"}");
                    (bound.parse().unwrap(), *value)
                })
                .collect();
            buckets.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{name}");
            assert_eq!(buckets.last().unwrap().0, f64::INFINITY, "{name}");
            let count = format!("{name}_count{{instance=\"feishu\"}}");
            assert_eq!(buckets.last().unwrap().1, self.get(&count), "{name}");
        }
    }
}

fn is_of(name: &str, family: &str, kind: &str) -> bool {
    let rest = name.strip_prefix(family);
    match kind {
        "histogram" => rest.is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest)),
        _ => rest == Some(""),
    }
}

/// No label of these tests has a comma or a quote in its value.
fn check_labels(labels: &str) {
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once("=\"").unwrap();
        assert!(
            name.chars().all(|char| char.is_ascii_lowercase()),
            "{label}"
        );
        let value = value.strip_suffix('"').unwrap();
        assert!(!value.contains(['"', '\\', '\n']), "{label}");
    }
}
