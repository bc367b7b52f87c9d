//! A parser for the subset of SQL that is needed to determine which rows a statement of the service accesses. It
//! returns an error for characters that it does not know. `owners.rs` refuses statements whose
//! structure is not known.

/// A token such as `$1`, `=`, `'text'` or a name with its qualifier, or the content of parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Word(String),
    Group(Vec<Part>),
}

use Part::{Group, Word};

impl Part {
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Word(own) if own == word)
    }
}

/// Parses a statement. Double quotes are removed, and names and keywords are converted to lower case, so
/// `"tasks"."user_id"` becomes `tasks.user_id`.
pub fn parse(statement: &str) -> Result<Vec<Part>, String> {
    let mut open: Vec<Vec<Part>> = vec![Vec::new()];
    let mut rest = statement.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '(' => open.push(Vec::new()),
            ')' => {
                let group = open.pop().unwrap_or_default();
                let outer = open.last_mut().ok_or("a parenthesis too many")?;
                outer.push(Group(group));
            }
            _ => {
                let word;
                (word, length) = next_word(rest)?;
                open.last_mut().expect("the statement itself").push(Word(word));
            }
        }
        rest = rest[length..].trim_start();
    }
    match open.len() {
        1 => Ok(open.remove(0)),
        _ => Err("a parenthesis is not closed".to_owned()),
    }
}

/// Returns the word at the beginning of a text, and the number of bytes that it has in the text.
fn next_word(text: &str) -> Result<(String, usize), String> {
    const OPERATORS: &str = "=<>!+-*/%|:";
    let run = |of: &dyn Fn(char) -> bool| text.find(|c| !of(c)).unwrap_or(text.len());
    match text.chars().next().unwrap_or_default() {
        '\'' => {
            let end = text[1..].find('\'').ok_or("a quote is not closed")?;
            Ok((text[..end + 2].to_owned(), end + 2))
        }
        ',' | ';' => Ok((text[..1].to_owned(), 1)),
        c if c.is_ascii_digit() || c == '$' => {
            let length = 1 + text[1..]
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len() - 1);
            Ok((text[..length].to_owned(), length))
        }
        c if c.is_ascii_alphabetic() || c == '_' || c == '"' => {
            let length = run(&|c| c.is_ascii_alphanumeric() || "_.\"".contains(c));
            Ok((text[..length].replace('"', "").to_ascii_lowercase(), length))
        }
        c if OPERATORS.contains(c) => {
            let length = run(&|c| OPERATORS.contains(c));
            match &text[..length] {
                "--" | "/*" => Err("a comment".to_owned()),
                operator => Ok((operator.to_owned(), length)),
            }
        }
        c => Err(format!("{c:?} is not understood")),
    }
}

/// Returns every query of a statement separately, including subqueries and the members of a union. A query
/// begins with one of the words in `BEGINNINGS`.
pub fn queries(parts: &[Part]) -> Vec<&[Part]> {
    const BEGINNINGS: [&str; 5] = ["select", "insert", "update", "delete", "with"];
    let mut found = Vec::new();
    let members = parts.split(|part| ["union", "intersect", "except"].iter().any(|word| part.is(word)));
    for member in members {
        let member = member.strip_prefix(&[Word("all".to_owned())]).unwrap_or(member);
        if BEGINNINGS
            .iter()
            .any(|word| member.first().is_some_and(|part| part.is(word)))
        {
            found.push(member);
        }
        for part in member {
            if let Group(inner) = part {
                found.extend(queries(inner));
            }
        }
    }
    found
}

/// A table that a query names. If the query gives it no alias, `alias` is its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub alias: String,
}

/// Returns the tables that a query itself reads or writes, without those of its subqueries.
pub fn tables(query: &[Part]) -> Vec<Table> {
    const CLAUSES: [&str; 14] = [
        "where",
        "order",
        "group",
        "having",
        "limit",
        "offset",
        "returning",
        "set",
        "values",
        "on",
        "for",
        "join",
        "left",
        "inner",
    ];
    let mut found = Vec::new();
    let mut in_list = false;
    let mut before = "";
    for (at, part) in query.iter().enumerate() {
        let Word(word) = part else {
            before = "";
            continue;
        };
        let precedes_table = match before {
            "from" | "join" | "into" => true,
            // In `FOR UPDATE` and `DO UPDATE`, which are not at the beginning of a query, no table follows.
            "update" => at == 1,
            "," => in_list,
            _ => false,
        };
        // A name that is followed by parentheses is a function in place of a table. After `INTO`, the name is that
        // of a table, and the parentheses contain its columns.
        let is_call = before != "into" && matches!(query.get(at + 1), Some(Group(_)));
        if precedes_table && !is_call {
            let mut next = query[at + 1..].iter().filter_map(|part| match part {
                Word(word) => Some(word.as_str()),
                Group(_) => None,
            });
            let alias = match next.next() {
                Some("as") => next.next().unwrap_or(word),
                Some(",") | None => word,
                Some(next) if CLAUSES.contains(&next) || before == "into" => word,
                Some(alias) => alias,
            };
            found.push(Table {
                name: word.clone(),
                alias: alias.to_owned(),
            });
        }
        in_list = word == "from" || in_list && !CLAUSES.contains(&word.as_str());
        before = word;
    }
    found
}

/// Splits a condition into the members of its conjunction, all of which must hold.
pub fn conjuncts(condition: &[Part]) -> Vec<&[Part]> {
    if let [Group(inner)] = condition {
        return conjuncts(inner);
    }
    // A condition with one of these words is not split. In CASE and BETWEEN, AND does not always separate two
    // conditions, and a condition beside OR does not have to hold.
    let opaque = ["or", "case", "between"];
    if condition
        .iter()
        .any(|part| opaque.iter().any(|word| part.is(word)))
    {
        return vec![condition];
    }
    let members: Vec<&[Part]> = condition.split(|part| part.is("and")).collect();
    match members.len() {
        1 => members,
        _ => members.into_iter().flat_map(conjuncts).collect(),
    }
}

/// Returns the WHERE condition of the query itself. It is empty if the query has none.
pub fn condition(query: &[Part]) -> &[Part] {
    const NEXT: [&str; 8] = [
        "order",
        "group",
        "having",
        "limit",
        "offset",
        "returning",
        "for",
        "window",
    ];
    let Some(at) = query.iter().position(|part| part.is("where")) else {
        return &[];
    };
    let condition = &query[at + 1..];
    let end = condition
        .iter()
        .position(|part| NEXT.iter().any(|word| part.is(word)));
    &condition[..end.unwrap_or(condition.len())]
}

/// Returns the names of all functions that are called in these parts and their nested groups.
pub fn functions(parts: &[Part]) -> Vec<&str> {
    const NOT_FUNCTIONS: [&str; 17] = [
        "and", "any", "all", "array", "as", "case", "conflict", "else", "exists", "from", "in", "not", "or",
        "then", "values", "when", "where",
    ];
    // These functions are called without parentheses.
    const WITHOUT_PARENTHESES: [&str; 3] = ["current_timestamp", "localtimestamp", "current_date"];
    let mut found = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match part {
            Group(inner) => found.extend(functions(inner)),
            Word(word) if WITHOUT_PARENTHESES.contains(&word.as_str()) => found.push(word.as_str()),
            Word(word) => {
                let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                let is_called = matches!(parts.get(at + 1), Some(Group(_)));
                // In `INSERT INTO tasks (…)` and `AS keyed (…)`, the parentheses contain columns.
                let names_columns = at > 0 && (parts[at - 1].is("into") || parts[at - 1].is("as"));
                if is_name && is_called && !names_columns && !NOT_FUNCTIONS.contains(&word.as_str()) {
                    found.push(word);
                }
            }
        }
    }
    found
}
