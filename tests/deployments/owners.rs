//! Determines whose rows a statement accesses, and whether it suits a cluster whose tables are distributed by user.

use super::sql::{self, Part};

/// The distributed tables, each with the column that contains the id of the user who owns the row.
const OWNERS: [(&str, &str); 3] = [
    ("users", "id"),
    ("tasks", "user_id"),
    ("idempotency_keys", "user_id"),
];

/// The functions that an UPDATE or DELETE may call. None of them is volatile. With a volatile function, the replicas of
/// a shard could compute different rows.
const CALLED_IN_WRITES: [&str; 4] = ["coalesce", "unnest", "now", "current_timestamp"];

/// The functions that DO UPDATE may call. There, Citus does not even accept a stable function such as `now`.
const CALLED_IN_DO_UPDATE: [&str; 1] = ["coalesce"];

/// Returns the numbers of the parameters that contain the ids of the rows' owners, or the reason why the statement is
/// refused.
pub fn users_of(statement: &str) -> Result<Vec<usize>, String> {
    let parts = sql::parse(statement)?;
    if parts.iter().any(|part| part.is(";")) {
        return Err("consists of several statements".to_owned());
    }
    let queries = sql::queries(&parts);
    if queries.is_empty() {
        return Err("is not a query".to_owned());
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
        return Err("names a table in a place that is not understood".to_owned());
    }
    let does = |word: &str| query[0].is(word);
    if does("with") {
        return Err("contains WITH, which is not understood".to_owned());
    }
    if does("update") || does("delete") {
        calls_only(&CALLED_IN_WRITES, query)?;
    }
    if does("insert") {
        return users_of_insert(query, &tables);
    }
    if tables.is_empty() && query.iter().any(|part| part.is("for")) {
        return Err("locks rows of a table without owners".to_owned());
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
        user.ok_or_else(|| format!("accesses rows of `{alias}` of any user"))
    });
    users.collect()
}

/// Checks that an INSERT inserts exactly one row, and that ON CONFLICT can only concern a row of the same user. Returns
/// the number of the parameter that contains the id of this user.
fn users_of_insert(query: &[Part], tables: &[(String, &str)]) -> Result<Vec<usize>, String> {
    const NOT_ONE_ROW: &str = "does not insert exactly one row of one user";
    let owner = match tables {
        [] => return Ok(Vec::new()),
        [(_, owner)] => owner,
        _ => return Err(NOT_ONE_ROW.to_owned()),
    };
    let at = |word: &str| query.iter().position(|part| part.is(word));
    let group_after = |word: &str, distance: usize| match query.get(at(word)? + distance)? {
        Part::Group(group) => Some(group.as_slice()),
        Part::Word(_) => None,
    };
    if let Some(conflict) = at("conflict") {
        let target = group_after("conflict", 1);
        if target.is_some_and(|columns| !columns.iter().any(|column| column.is(owner))) {
            return Err("has ON CONFLICT with a key that does not contain the user".to_owned());
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
    let user = inserted().ok_or(NOT_ONE_ROW)?;
    Ok(vec![user])
}

fn owner_column(table: &str) -> Option<&'static str> {
    let owner = OWNERS.iter().find(|(name, _)| *name == table);
    owner.map(|(_, column)| *column)
}

/// Returns the number of a parameter, such as 2 for `$2`.
fn parameter(part: &Part) -> Option<usize> {
    match part {
        Part::Word(word) => word.strip_prefix('$')?.parse().ok(),
        Part::Group(_) => None,
    }
}

fn calls_only(allowed: &[&str], parts: &[Part]) -> Result<(), String> {
    let called = sql::functions(parts);
    match called.iter().find(|name| !allowed.contains(name)) {
        Some(name) => Err(format!("calls `{name}` in a change of rows")),
        None => Ok(()),
    }
}
