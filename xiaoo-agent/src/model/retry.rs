//! When to ask again, and how long to wait before.

use core::time::Duration;
use std::time::SystemTime;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::{ModelError, RetryPolicy};

/// The waits between the tries of one request.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    tries: u32,
    emptied: bool,
}

impl Backoff {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            tries: 1,
            emptied: false,
        }
    }

    /// The number of the try that comes next, and the wait before it; `None` when there is none.
    /// `draw` is a number from 0 up to 1.
    pub(super) fn next(&mut self, failure: &ModelError, draw: f64) -> Option<(u32, Duration)> {
        let tried_enough = self.tries >= self.policy.tries_max;
        // An empty answer is a cold start once, and the model's last word the second time.
        let said_nothing_twice = self.emptied && *failure == ModelError::Empty;
        if tried_enough || said_nothing_twice || !failure.is_retryable() {
            return None;
        }
        self.emptied |= *failure == ModelError::Empty;
        let wait = match failure.retry_after() {
            Some(asked) if asked > self.policy.retry_after_max => return None,
            Some(asked) => asked,
            None => {
                let doublings = (self.tries - 1).min(31);
                let upper = self.policy.base.saturating_mul(1 << doublings);
                upper.min(self.policy.cap).mul_f64(draw.clamp(0.0, 1.0))
            }
        };
        self.tries += 1;
        Some((self.tries, wait))
    }
}

/// The wait that a response's headers ask for: milliseconds, seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = || text("retry-after-ms")?.parse().ok();
    if let Some(wait) = millis().map(Duration::from_millis) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = httpdate::parse_http_date(value).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderName;

    fn limited(retry_after: Option<u64>) -> ModelError {
        ModelError::RateLimited {
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_are_drawn_from_zero() {
        let policy = RetryPolicy {
            tries_max: 8,
            ..RetryPolicy::default()
        };
        let waits = |draw: f64| {
            let mut backoff = Backoff::new(policy);
            core::iter::from_fn(move || backoff.next(&limited(None), draw))
                .map(|(_, wait)| wait.as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1.0), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(waits(0.5), [500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert_eq!(waits(0.0), [0; 7]);
    }

    #[test]
    fn a_server_that_asks_for_a_wait_gets_it_up_to_the_limit() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(
            backoff.next(&limited(Some(60)), 0.0),
            Some((2, Duration::from_secs(60)))
        );
        assert_eq!(backoff.next(&limited(Some(61)), 0.0), None);
    }

    #[test]
    fn what_can_not_help_is_not_tried() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(backoff.next(&ModelError::Filtered, 0.0), None);
        assert!(backoff.next(&ModelError::Empty, 0.0).is_some());
        assert_eq!(backoff.next(&ModelError::Empty, 0.0), None);
        assert!(backoff.next(&ModelError::Truncated, 0.0).is_some());
        assert_eq!(backoff.next(&ModelError::Truncated, 0.0), None);
    }

    #[test]
    fn headers_say_it_in_three_ways() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 06:00:00 GMT").unwrap();
        let cases = [
            ("retry-after", "5", Some(5000)),
            ("retry-after", " 1.5 ", Some(1500)),
            ("retry-after", "Mon, 23 Nov 2026 06:00:09 GMT", Some(9000)),
            ("retry-after", "Mon, 23 Nov 2026 05:00:00 GMT", Some(0)),
            ("retry-after", "-3", None),
            ("retry-after", "soon", None),
            ("retry-after-ms", "250", Some(250)),
            ("x-other", "1", None),
        ];
        for (name, value, millis) in cases {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            assert_eq!(
                retry_after(&headers, now),
                millis.map(Duration::from_millis),
                "{name}: {value}"
            );
        }
    }
}
