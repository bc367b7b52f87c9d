//! Diesel's prelude without `RunQueryDsl`: [`crate::db::on_both`] imports the one that fits the database.

pub use diesel::prelude::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
    Queryable, Selectable,
};
