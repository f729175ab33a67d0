//! What time it is: the one thing that every model gets wrong without help.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::{BoxFuture, FutureExt, ready};
use serde_json::{Value, json};

use super::{Tool, ToolContext, ToolOutput};

/// The time in UTC and in one configured offset.
#[derive(Clone, Copy, Debug)]
pub struct CurrentTime {
    offset_minutes: i32,
}

impl CurrentTime {
    /// With an offset from UTC in minutes (480 for China); clamped to a day either way.
    #[must_use]
    pub fn new(offset_minutes: i32) -> Self {
        Self {
            offset_minutes: offset_minutes.clamp(-MINUTES_A_DAY, MINUTES_A_DAY),
        }
    }

    /// An instant as RFC 3339 text in that offset.
    #[must_use]
    pub fn text_of(self, unix_secs: i64) -> String {
        stamp(unix_secs, self.offset_minutes).text
    }

    fn say(self, unix_secs: i64) -> String {
        let local = stamp(unix_secs, self.offset_minutes);
        let utc = stamp(unix_secs, 0);
        json!({
            "local": local.text,
            "weekday": local.weekday,
            "utc": utc.text,
            "unix_seconds": unix_secs,
        })
        .to_string()
    }
}

impl Tool for CurrentTime {
    fn name(&self) -> &'static str {
        "current_time"
    }

    fn description(&self) -> &'static str {
        "The current date, time and weekday, in the user's time zone and in UTC."
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {}})
    }

    fn call<'a>(&'a self, _: Value, _: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        let output = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => {
                ToolOutput::ok(self.say(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
            }
            Err(_) => ToolOutput::error("this machine's clock is set to a time before 1970"),
        };
        ready(output).boxed()
    }
}

pub(super) struct Stamp {
    pub(super) text: String,
    weekday: &'static str,
}

/// RFC 3339 text and weekday of an instant, seen from an offset.
pub(super) fn stamp(unix_secs: i64, offset_minutes: i32) -> Stamp {
    let local = unix_secs.saturating_add(i64::from(offset_minutes) * 60);
    let days = local.div_euclid(SECS_A_DAY);
    let secs = local.rem_euclid(SECS_A_DAY);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let (off_hour, off_minute) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
    // The first of January 1970 was a Thursday.
    let weekday = match (days + 4).rem_euclid(7) {
        0 => "Sunday",
        1 => "Monday",
        2 => "Tuesday",
        3 => "Wednesday",
        4 => "Thursday",
        5 => "Friday",
        _ => "Saturday",
    };
    Stamp {
        text: format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{off_hour:02}:{off_minute:02}"
        ),
        weekday,
    }
}

/// Year, month and day of a day counted from 1970-01-01 in the proleptic Gregorian calendar.
///
/// Counts in 400-year eras that begin on the first of March, so that the leap day is the last
/// day of its year and needs no case of its own.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH_SHIFT: i64 = 719_468;
    const DAYS_AN_ERA: i64 = 146_097;
    let shifted = days.saturating_add(EPOCH_SHIFT);
    let era = shifted.div_euclid(DAYS_AN_ERA);
    let of_era = shifted.rem_euclid(DAYS_AN_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

const MINUTES_A_DAY: i32 = 24 * 60;
const SECS_A_DAY: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_calendars_say() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00+00:00", "Thursday"),
            (951_782_400, 0, "2000-02-29T00:00:00+00:00", "Tuesday"),
            (951_868_799, 0, "2000-02-29T23:59:59+00:00", "Tuesday"),
            (1_790_000_000, 480, "2026-09-21T22:13:20+08:00", "Monday"),
            (1_790_000_000, -210, "2026-09-21T10:43:20-03:30", "Monday"),
            (-1, 0, "1969-12-31T23:59:59+00:00", "Wednesday"),
        ];
        for (secs, offset, text, weekday) in cases {
            let stamp = stamp(secs, offset);
            assert_eq!((stamp.text.as_str(), stamp.weekday), (text, weekday));
        }
    }

    #[test]
    fn no_clock_setting_panics() {
        for secs in [i64::MIN, i64::MAX] {
            let _ = CurrentTime::new(i32::MAX).say(secs);
        }
    }
}
