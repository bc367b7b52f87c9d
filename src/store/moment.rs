//! One SQL type for a moment on both databases: `timestamptz` in PostgreSQL, text of a fixed width in
//! SQLite. Diesel's own timestamp types differ between the two, and SQLite's keeps nanoseconds.

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
pub struct Moment;

/// The domain does not know Diesel, so its timestamps travel in this.
#[derive(Clone, Copy, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Moment)]
pub struct At(pub Timestamp);

/// Microseconds from 1970, where Unix starts to count, to 2000, where PostgreSQL does.
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
        // The second form is what SQLite's own date functions write: other programs use them.
        let micros = match DateTime::parse_from_rfc3339(&text) {
            Ok(moment) => moment.timestamp_micros(),
            Err(_) => NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")?
                .and_utc()
                .timestamp_micros(),
        };
        Ok(Self(Timestamp::from_micros(micros)))
    }
}
