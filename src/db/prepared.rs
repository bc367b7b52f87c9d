//! Makes each connection prepare a statement only once, even if Diesel by default prepares it for each execution.

use std::sync::OnceLock;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryBuilder as _, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl as BlockingRunQueryDsl};

/// A query whose prepared statement each connection caches.
///
/// By default, Diesel does not cache the prepared statement of a query that could have an unlimited number of
/// different SQL texts. It assumes this of every update and of everything that contains `sql(…)`. A statement that is
/// not cached is parsed and planned for each execution, and on PostgreSQL takes one more round trip. Each text stays
/// prepared until the connection is closed, so only queries with a few different texts may be wrapped.
pub struct Prepared<Q> {
    query: Q,
    text: Option<&'static OnceLock<String>>,
}

impl<Q> Prepared<Q> {
    pub fn new(query: Q) -> Self {
        Self { query, text: None }
    }

    /// Wraps a query whose SQL text is constant. The text is built by the first execution and then stored in
    /// `text`, which must belong to this query alone. Not building the text again saves about a tenth of the
    /// instructions of a request for one task.
    pub fn with_text(query: Q, text: &'static OnceLock<String>) -> Self {
        Self {
            query,
            text: Some(text),
        }
    }
}

/// Wraps a query whose SQL text is constant, and creates the variable that stores the text. It must be used in
/// the query of [`crate::db::on_both`], so that each database has a variable of its own.
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
                    debug_assert_eq!(build().as_ref(), Ok(text), "the text must be constant");
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
