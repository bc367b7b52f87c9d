//! Statements that each connection prepares only once, although Diesel would prepare them each time.

use std::sync::OnceLock;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryBuilder as _, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl as BlockingRunQueryDsl};

/// Diesel caches a prepared statement only if its type guarantees a constant text, which excludes updates and
/// everything with `sql(…)`. Without the cache a statement is parsed and planned on each call, and costs one
/// more round trip. Wrap only queries with few different texts: each text stays prepared until its connection
/// is closed.
pub struct Prepared<Q> {
    query: Q,
    text: Option<&'static OnceLock<String>>,
}

impl<Q> Prepared<Q> {
    pub fn new(query: Q) -> Self {
        Self { query, text: None }
    }

    /// For a query with a constant text, which is built once and stored in `text`. Diesel builds a text identifier
    /// by identifier, which takes as many instructions as parsing an HTTP request. `prepared!` gives each query
    /// in the source its own `text`.
    pub fn with_text(query: Q, text: &'static OnceLock<String>) -> Self {
        Self {
            query,
            text: Some(text),
        }
    }
}

/// Prepares a query whose text does not depend on its values. The backend must be known at this place; inside
/// [`crate::db::on_both`], each backend has its own text.
macro_rules! prepared {
    ($query:expr) => {{
        static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        $crate::db::Prepared::with_text($query, &TEXT)
    }};
}
pub(crate) use prepared;

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> BlockingRunQueryDsl<C> for Prepared<Q> {}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, DB> QueryFragment<DB> for Prepared<Q>
where
    Q: QueryFragment<DB>,
    DB: Backend<QueryBuilder: Default>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out)
    }

    fn to_sql(&self, out: &mut DB::QueryBuilder, backend: &DB) -> QueryResult<()> {
        let build = || -> QueryResult<String> {
            let mut builder = DB::QueryBuilder::default();
            self.query.to_sql(&mut builder, backend)?;
            Ok(builder.finish())
        };
        let text = match self.text {
            None => return self.query.to_sql(out, backend),
            Some(text) => match text.get() {
                Some(text) => {
                    debug_assert_eq!(build().as_ref(), Ok(text), "its text varies");
                    text
                }
                None => {
                    let built = build()?;
                    text.get_or_init(|| built)
                }
            },
        };
        out.push_sql(text);
        Ok(())
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}
