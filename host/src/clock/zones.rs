//! Time zones: names of the IANA time zone database, which the binary carries, or offsets.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

/// The zone of a name such as `Asia/Shanghai` or an offset such as `+08:00`.
pub fn find(zone: &str) -> Option<TimeZone> {
    DateTimeParser::new().parse_time_zone(zone).ok()
}

/// Seconds that the clocks of a zone are ahead of UTC at a time; `None` if there is no such zone.
pub fn offset(zone: &str, at: i64) -> Option<i32> {
    Some(find(zone)?.to_offset(Timestamp::from_second(at).ok()?).seconds())
}
