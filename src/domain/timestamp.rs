//! A moment in UTC, to the microsecond: the finest that both databases keep.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};
use serde::{Serialize, Serializer};

/// Microseconds since 1970, within the years 0000 to 9999 that RFC 3339 can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    const MIN: i64 = -62_167_219_200_000_000; // 0000-01-01T00:00:00.000000Z
    const MAX: i64 = 253_402_300_799_999_999; // 9999-12-31T23:59:59.999999Z

    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(since_1970.as_micros() as i64)
    }

    /// What lies outside the years that can be written (PostgreSQL's `infinity`, say) becomes the
    /// nearest that can.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN, Self::MAX))
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    /// An RFC 3339 date-time with any offset, or a bare date: its midnight in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let micros = match text.len() {
            10 => midnight_of(text)?,
            _ => moment(text)?.timestamp_micros(),
        };
        (Self::MIN..=Self::MAX).contains(&micros).then_some(Self(micros))
    }

    /// `2026-01-02T03:04:05.678901Z`. Written by hand: a list of tasks is mostly times, and a
    /// general formatter takes ten times as long.
    pub fn text(self) -> [u8; 27] {
        let mut out = *b"0000-00-00T00:00:00.000000Z";
        let moment = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        let mut put = |at: usize, width: usize, mut number: u32| {
            for digit in out[at..at + width].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, moment.year() as u32);
        put(5, 2, moment.month());
        put(8, 2, moment.day());
        put(11, 2, moment.hour());
        put(14, 2, moment.minute());
        put(17, 2, moment.second());
        put(20, 6, moment.nanosecond() / 1_000);
        out
    }
}

fn midnight_of(date: &str) -> Option<i64> {
    let digits = |range: std::ops::Range<usize>| {
        let part = date.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(part)
    };
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let dashed = date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
    let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let midnight = date.filter(|_| dashed)?.and_time(NaiveTime::MIN);
    Some(midnight.and_utc().timestamp_micros())
}

/// chrono takes a little more than RFC 3339 has: a space for the `T`, a typographic minus, and a leap
/// second at any time of the day. It counts the microseconds of one past a full second, so that it is the
/// first moment of the next minute here.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let leap = moment.nanosecond() >= 1_000_000_000;
    let last_minute = (moment.hour(), moment.minute()) == (23, 59);
    (separated && text.is_ascii() && (!leap || last_minute)).then_some(moment)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Timestamp::parse(text).map_or("refused".into(), |t| t.to_string())
    }

    #[test]
    fn every_way_to_write_a_moment_is_one_moment_in_utc() {
        assert_eq!(read("2026-01-02"), "2026-01-02T00:00:00.000000Z");
        assert_eq!(read("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000000Z");
        assert_eq!(read("2026-01-02t03:04:05.1z"), "2026-01-02T03:04:05.100000Z");
        assert_eq!(
            read("2026-01-02T03:04:05.123456789+05:30"),
            "2026-01-01T21:34:05.123456Z"
        );
        assert_eq!(read("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000000Z");
        assert_eq!(read("0000-01-01"), "0000-01-01T00:00:00.000000Z");
        assert_eq!(read("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for wrong in [
            "",
            "tomorrow",
            "2026-02-30",
            "2026-13-01",
            "2026/01/02",
            "+026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T25:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "1767322800",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05\u{2212}05:30",
            "2026-01-02T12:00:60Z",
        ] {
            assert_eq!(read(wrong), "refused", "{wrong:?}");
        }
    }

    #[test]
    fn what_a_database_may_hold_beyond_is_clamped() {
        assert_eq!(
            Timestamp::from_micros(i64::MAX).to_string(),
            "9999-12-31T23:59:59.999999Z"
        );
        assert_eq!(
            Timestamp::from_micros(i64::MIN).to_string(),
            "0000-01-01T00:00:00.000000Z"
        );
    }
}
