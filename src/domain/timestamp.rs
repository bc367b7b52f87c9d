//! A time in UTC with microseconds, which is the precision of PostgreSQL.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Serialize, Serializer};

use super::ErrorCode;

/// Microseconds since 1970. The year is between 0000 and 9999, because RFC 3339 allows no other years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    const MIN: i64 = -62_167_219_200_000_000; // 0000-01-01T00:00:00.000000Z
    const MAX: i64 = 253_402_300_799_999_999; // 9999-12-31T23:59:59.999999Z

    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(since_1970.as_micros() as i64)
    }

    /// Clamps times in other years than 0000 to 9999, such as `infinity` in PostgreSQL.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN, Self::MAX))
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 date-time with any offset, or a date, which stands for midnight UTC.
    pub fn parse(text: &str) -> Result<Self, ErrorCode> {
        let time = match text.len() {
            10 => parse_date_time(&format!("{text}T00:00:00Z")),
            _ => parse_date_time(text),
        };
        match time.ok_or(ErrorCode::Format)?.timestamp_micros() {
            micros @ Self::MIN..=Self::MAX => Ok(Self(micros)),
            _ => Err(ErrorCode::Range),
        }
    }

    /// Formats the time as `2026-01-02T03:04:05.678901Z`. The formatter of chrono is not used, because it takes about
    /// ten times as long, and each task contains up to three times.
    pub fn to_rfc3339(self) -> [u8; 27] {
        let mut out = *b"0000-00-00T00:00:00.000000Z";
        let time = DateTime::from_timestamp_micros(self.0).unwrap_or_default();
        let mut put = |at: usize, width: usize, mut number: u32| {
            for digit in out[at..at + width].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, time.year() as u32);
        put(5, 2, time.month());
        put(8, 2, time.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        put(20, 6, time.nanosecond() / 1_000);
        out
    }
}

/// Parses an RFC 3339 date-time. Refuses three formats that chrono accepts although RFC 3339 does not: a space instead
/// of the `T`, a Unicode minus, and a leap second at another time than 23:59:60 UTC. chrono represents a leap second by
/// 1,000,000,000 or more nanoseconds. The conversion to microseconds turns it into the first second of the next day.
fn parse_date_time(text: &str) -> Option<DateTime<Utc>> {
    let has_separator = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let is_last_minute = (time.hour(), time.minute()) == (23, 59);
    (has_separator && text.is_ascii() && (!is_leap_second || is_last_minute)).then_some(time)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_rfc3339()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.to_rfc3339()).unwrap_or_default())
    }
}
