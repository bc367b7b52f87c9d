//! Diesel's prelude, less `RunQueryDsl`: [`crate::db::on_both`] brings the one of the database that it compiles
//! a query for.

pub use diesel::prelude::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
    Queryable, Selectable,
};
