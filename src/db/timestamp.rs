//! One SQL type for timestamps in both databases: `timestamptz` in PostgreSQL, and text of a fixed width in
//! SQLite. Diesel's own types differ between the two databases, and the one for SQLite writes texts whose width
//! depends on the value, so that they would not sort chronologically.

use chrono::{DateTime, NaiveDateTime};
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
pub struct SqlTimestamp;

/// The domain's timestamp, with the conversions that Diesel needs. The domain does not depend on Diesel.
#[derive(Clone, Copy, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlTimestamp)]
pub struct DbTimestamp(pub Timestamp);

impl From<DbTimestamp> for Timestamp {
    fn from(DbTimestamp(timestamp): DbTimestamp) -> Self {
        timestamp
    }
}

/// The epoch of PostgreSQL's timestamps, 2000-01-01, in microseconds since the Unix epoch.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql<SqlTimestamp, Pg> for DbTimestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.micros() - PG_EPOCH_MICROS;
        std::io::Write::write_all(out, &micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTimestamp, Pg> for DbTimestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        let micros = micros.saturating_add(PG_EPOCH_MICROS);
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

impl ToSql<SqlTimestamp, Sqlite> for DbTimestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTimestamp, Sqlite> for DbTimestamp {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        parse_sqlite_timestamp(&text).map(Self)
    }
}

/// Parses a timestamp in the service's format, or in another one that SQLite's date functions accept: other
/// programs may have written it.
fn parse_sqlite_timestamp(text: &str) -> deserialize::Result<Timestamp> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp::from_micros(time.timestamp_micros()));
    }
    let text = text.strip_suffix('Z').unwrap_or(text).replacen('T', " ", 1);
    let time = ["", ":00", " 00:00:00"].iter().find_map(|missing| {
        NaiveDateTime::parse_from_str(&format!("{text}{missing}"), "%Y-%m-%d %H:%M:%S%.f").ok()
    });
    let time = time.ok_or("the text is not a timestamp")?;
    Ok(Timestamp::from_micros(time.and_utc().timestamp_micros()))
}

/// A timestamp that was read in the database's own encoding. It is bound unchanged, to compare it with columns.
#[derive(Clone, Copy, Debug, AsExpression)]
#[diesel(sql_type = SqlTimestamp)]
pub struct EncodedTimestamp<'a>(pub &'a [u8]);

impl ToSql<SqlTimestamp, Pg> for EncodedTimestamp<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0)?;
        Ok(IsNull::No)
    }
}

impl ToSql<SqlTimestamp, Sqlite> for EncodedTimestamp<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(std::str::from_utf8(self.0)?);
        Ok(IsNull::No)
    }
}
