//! Dates as clients of the original systems read them.

use time::{Date, Month, OffsetDateTime, UtcOffset};
use wharf_kit::{clock, settings};

/// A time as clients of a realm read it: `YYYY-MM-DD HH:MM:SS` in the zone that the operator has set for it.
pub fn date(realm: &str, seconds: i64) -> String {
    let zone = settings::get(&format!("{realm}.zone"));
    print(seconds, zone.and_then(|zone| clock::offset(&zone, seconds)).unwrap_or(0))
}

/// The day of [`date`], as `YYYYMMDD`.
pub fn day(realm: &str, seconds: i64) -> String {
    date(realm, seconds).chars().take(10).filter(char::is_ascii_digit).collect()
}

/// Whether a text is a day of the calendar: `YYYY-MM-DD`.
pub fn is_day(text: &str) -> bool {
    let number = |part: Option<&str>, length: usize| {
        let part = part.filter(|part| part.len() == length)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
    };
    let mut parts = text.split('-');
    let (year, month, day) =
        (number(parts.next(), 4), number(parts.next(), 2), number(parts.next(), 2));
    let (Some(year), Some(month), Some(day), None) = (year, month, day, parts.next()) else {
        return false;
    };
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok());
    month.is_some_and(|month| {
        let day = u8::try_from(day).unwrap_or(0);
        Date::from_calendar_date(year.into(), month, day).is_ok()
    })
}

fn print(seconds: i64, offset: i32) -> String {
    let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let offset = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
    let local = utc.checked_to_offset(offset).unwrap_or(utc);
    let (year, month, day) = (local.year(), u8::from(local.month()), local.day());
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        local.hour(),
        local.minute(),
        local.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_printed_in_the_zone() {
        assert_eq!(print(0, 8 * 3600), "1970-01-01 08:00:00");
        assert_eq!(print(1_595_838_060, 8 * 3600), "2020-07-27 16:21:00");
        assert_eq!(print(0, -(3 * 3600 + 1800)), "1969-12-31 20:30:00");
        assert_eq!(print(i64::MAX, 0), "1970-01-01 00:00:00");
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        assert!(is_day("2024-02-29"));
        for no in [
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "24-01-01",
            "2024-01-01-01",
            "2024-+2-+3",
            "2024--2-03",
            "٢٠٢٤-02-03",
            "tomorrow",
            "",
        ] {
            assert!(!is_day(no), "{no}");
        }
    }
}
