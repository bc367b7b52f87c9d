//! One SQL type for timestamps on both databases: `timestamptz` in PostgreSQL, text of a fixed width in SQLite.
//! Diesel's own types differ between the two, and its SQLite type stores nanoseconds.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{SqlType, Text};
use diesel::sqlite::Sqlite;

use crate::domain::Timestamp;

#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Text"))]
pub struct Moment;

/// Carries the domain's timestamp, which does not know Diesel.
#[derive(Clone, Copy, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Moment)]
pub struct At(pub Timestamp);

/// Microseconds from 1970, the Unix epoch, to 2000, PostgreSQL's epoch.
const PG_EPOCH: i64 = 946_684_800_000_000;

impl ToSql<Moment, Pg> for At {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.micros() - PG_EPOCH;
        std::io::Write::write_all(out, &micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Moment, Pg> for At {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        let micros = micros.saturating_add(PG_EPOCH);
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

impl ToSql<Moment, Sqlite> for At {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Moment, Sqlite> for At {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        read(&text).map(Self)
    }
}

/// Also accepts what SQLite's own date functions and other programs write.
fn read(text: &str) -> deserialize::Result<Timestamp> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp::from_micros(moment.timestamp_micros()));
    }
    let moment = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ]
    .iter()
    .find_map(|form| NaiveDateTime::parse_from_str(text.strip_suffix('Z').unwrap_or(text), form).ok());
    let moment = match moment {
        Some(moment) => moment,
        None => NaiveDate::parse_from_str(text, "%Y-%m-%d")?.and_time(NaiveTime::MIN),
    };
    Ok(Timestamp::from_micros(moment.and_utc().timestamp_micros()))
}

/// A timestamp in the database's own encoding, for comparisons with stored ones.
#[derive(Clone, Copy, Debug, AsExpression)]
#[diesel(sql_type = Moment)]
pub struct Stored<'a>(pub &'a [u8]);

impl ToSql<Moment, Pg> for Stored<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0)?;
        Ok(IsNull::No)
    }
}

impl ToSql<Moment, Sqlite> for Stored<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(std::str::from_utf8(self.0)?);
        Ok(IsNull::No)
    }
}
