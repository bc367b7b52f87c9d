//! Whose rows a statement touches, and whether a cluster that is distributed by user takes it.

use super::sql::{self, Part};

/// The tables that are distributed, and the column that says whose a row is.
const OWNERS: [(&str, &str); 3] = [
    ("users", "id"),
    ("tasks", "user_id"),
    ("idempotency_keys", "user_id"),
];

/// What an UPDATE or a DELETE may call: nothing volatile, for each replica of a shard has to come to the
/// same rows.
const CALLED_IN_WRITES: [&str; 4] = ["coalesce", "unnest", "now", "current_timestamp"];

/// And what a DO UPDATE may: less, as Citus has it.
const CALLED_IN_DO_UPDATE: [&str; 1] = ["coalesce"];

/// The numbers of the parameters that say whose rows these are, or why the statement is not one that
/// could be sent to a single shard.
pub fn users_of(statement: &str) -> Result<Vec<usize>, String> {
    let parts = sql::parse(statement)?;
    if parts.iter().any(|part| part.is(";")) {
        return Err("is several statements".to_owned());
    }
    let queries = sql::queries(&parts);
    if queries.is_empty() {
        return Err("is no query".to_owned());
    }
    let users = queries.into_iter().map(users_of_query);
    Ok(users.collect::<Result<Vec<_>, _>>()?.concat())
}

fn users_of_query(query: &[Part]) -> Result<Vec<usize>, String> {
    let tables: Vec<(String, &str)> = sql::tables(query)
        .into_iter()
        .filter_map(|table| Some((table.alias, owner_column(&table.name)?)))
        .collect();
    let mentioned = query
        .iter()
        .filter(|part| OWNERS.iter().any(|(name, _)| part.is(name)));
    if mentioned.count() != tables.len() {
        return Err("names a table where it is not understood".to_owned());
    }
    let does = |word: &str| query[0].is(word);
    if does("with") {
        return Err("has a WITH, which is not understood".to_owned());
    }
    if does("update") || does("delete") {
        calls_only(&CALLED_IN_WRITES, query)?;
    }
    if does("insert") {
        return users_of_insert(query, &tables);
    }
    if tables.is_empty() && query.iter().any(|part| part.is("for")) {
        return Err("locks rows that are nobody's".to_owned());
    }
    let conditions = sql::conjuncts(sql::condition(query));
    let users = tables.iter().map(|(alias, column)| {
        let names = [format!("{alias}.{column}"), (*column).to_owned()];
        let names = if tables.len() == 1 {
            &names[..]
        } else {
            &names[..1]
        };
        let user = conditions.iter().find_map(|condition| match condition {
            [left, equals, right] if equals.is("=") => {
                let is_owner = |part: &Part| names.iter().any(|name| part.is(name));
                is_owner(left)
                    .then(|| parameter(right))
                    .or(is_owner(right).then(|| parameter(left)))?
            }
            _ => None,
        });
        user.ok_or_else(|| format!("reaches rows of `{alias}` whoever's they are"))
    });
    users.collect()
}

/// One row, and whose it is; where it meets another, that is the same user's.
fn users_of_insert(query: &[Part], tables: &[(String, &str)]) -> Result<Vec<usize>, String> {
    const NOT_ONE: &str = "inserts what is not one row of one user";
    let owner = match tables {
        [] => return Ok(Vec::new()),
        [(_, owner)] => owner,
        _ => return Err(NOT_ONE.to_owned()),
    };
    let at = |word: &str| query.iter().position(|part| part.is(word));
    let group_after = |word: &str, distance: usize| match query.get(at(word)? + distance)? {
        Part::Group(group) => Some(group.as_slice()),
        Part::Word(_) => None,
    };
    if let Some(conflict) = at("conflict") {
        let target = group_after("conflict", 1);
        if target.is_some_and(|columns| !columns.iter().any(|column| column.is(owner))) {
            return Err("ON CONFLICT of a key that does not have the user".to_owned());
        }
        calls_only(&CALLED_IN_DO_UPDATE, &query[conflict + 2..])?;
    }
    let inserted = || {
        let columns = group_after("into", 2)?.split(|part| part.is(","));
        let values = group_after("values", 1)?.split(|part| part.is(","));
        let is_one_row = query.get(at("values")? + 2).is_none_or(|next| !next.is(","));
        let (_, value) = columns.zip(values).find(|(column, _)| column[0].is(owner))?;
        parameter(value.first().filter(|_| value.len() == 1 && is_one_row)?)
    };
    let user = inserted().ok_or(NOT_ONE)?;
    Ok(vec![user])
}

fn owner_column(table: &str) -> Option<&'static str> {
    let owner = OWNERS.iter().find(|(name, _)| *name == table);
    owner.map(|(_, column)| *column)
}

/// 2 for `$2`.
fn parameter(part: &Part) -> Option<usize> {
    match part {
        Part::Word(word) => word.strip_prefix('$')?.parse().ok(),
        Part::Group(_) => None,
    }
}

fn calls_only(allowed: &[&str], parts: &[Part]) -> Result<(), String> {
    let called = sql::functions(parts);
    match called.iter().find(|name| !allowed.contains(name)) {
        Some(name) => Err(format!("calls `{name}` where a row is changed")),
        None => Ok(()),
    }
}
