//! Prometheus' text format, version 0.0.4.

use core::fmt::Write as _;

use runtime_tokio::HistogramSnapshot;

/// Of what sort a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A page that is being written: families one by one, each with its samples. A family
/// without one is left out.
#[derive(Default)]
pub(super) struct Text {
    text: String,
    /// What is written before the family's first sample.
    head: String,
}

/// A label's name and its value.
type Label<'a> = (&'a str, &'a str);

impl Text {
    /// Begins a family. `help` is one line without a backslash.
    pub(super) fn family(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample of the family that was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[Label<'_>], value: f64) {
        self.text.push_str(&core::mem::take(&mut self.head));
        self.text.push_str(name);
        for (at, (label, said)) in labels.iter().enumerate() {
            self.text.push_str(if at == 0 { "{" } else { "," });
            self.text.push_str(label);
            self.text.push_str("=\"");
            said.chars().for_each(|char| self.escaped(char));
            self.text.push('"');
        }
        self.text
            .push_str(if labels.is_empty() { " " } else { "} " });
        // A String has room for everything.
        let _ = writeln!(self.text, "{value}");
    }

    /// All samples of one histogram, in seconds.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[Label<'_>],
        snapshot: &HistogramSnapshot,
    ) {
        let bucket = format!("{name}_bucket");
        let bounds = snapshot.buckets.iter();
        let bounds = bounds.map(|(bound, count)| (bound.as_secs_f64().to_string(), *count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), snapshot.count)]) {
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            self.sample(&bucket, &labels, super::number(count));
        }
        let sum = snapshot.sum.as_secs_f64();
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(
            &format!("{name}_count"),
            labels,
            super::number(snapshot.count),
        );
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn escaped(&mut self, char: char) {
        match char {
            '\\' => self.text.push_str("\\\\"),
            '"' => self.text.push_str("\\\""),
            '\n' => self.text.push_str("\\n"),
            char => self.text.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_what_the_format_says() {
        let mut text = Text::default();
        text.family("a_total", "All of them.", Kind::Counter);
        text.sample("a_total", &[], 3.0);
        text.sample(
            "a_total",
            &[("bot", "back\\slash \"quoted\"\nline"), ("code", "0")],
            0.25,
        );
        text.family("b_total", "Nobody has any.", Kind::Counter);
        text.family("t_seconds", "How long.", Kind::Histogram);
        let snapshot = HistogramSnapshot {
            buckets: vec![(Duration::from_millis(5), 1), (Duration::from_secs(1), 2)],
            count: 4,
            sum: Duration::from_millis(2_500),
        };
        text.histogram("t_seconds", &[("bot", "a")], &snapshot);
        let expected = r#"# HELP a_total All of them.
# TYPE a_total counter
a_total 3
a_total{bot="back\\slash \"quoted\"\nline",code="0"} 0.25
# HELP t_seconds How long.
# TYPE t_seconds histogram
t_seconds_bucket{bot="a",le="0.005"} 1
t_seconds_bucket{bot="a",le="1"} 2
t_seconds_bucket{bot="a",le="+Inf"} 4
t_seconds_sum{bot="a"} 2.5
t_seconds_count{bot="a"} 4
"#;
        assert_eq!(text.into_string(), expected);
    }
}
