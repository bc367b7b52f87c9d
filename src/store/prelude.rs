//! Diesel's prelude without `RunQueryDsl`. [`crate::db::on_both`] imports that trait from Diesel or diesel-async,
//! depending on the database.

pub use diesel::prelude::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable, Selectable,
};
