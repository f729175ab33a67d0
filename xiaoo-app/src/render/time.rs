//! Moments as people and models read them.

use xiaoo_agent::CurrentTime;

/// Minutes east of UTC in which times are told: China's, where most of Feishu is.
pub(crate) const UTC_OFFSET_MINUTES: i32 = 480;

/// A moment in RFC 3339.
pub(crate) fn time(unix_ms: i64) -> String {
    CurrentTime::new(UTC_OFFSET_MINUTES).text_of(unix_ms.div_euclid(1_000))
}
