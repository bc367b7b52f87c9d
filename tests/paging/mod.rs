//! `limit`, `cursor` and `Link`: a list by the page is the list, whatever happens to it meanwhile.

mod churn;
mod cost;
mod cursors;
mod limits;
mod plans;
mod walks;

use serde_json::Value;

use crate::support::task::id;
use crate::support::{Actor, Response};

const SORTS: [&str; 3] = ["created", "title", "due_date"];
const STATUSES: [&str; 3] = ["all", "pending", "completed"];

/// One title in each of many scripts, with what is easily lost on the way to a sort key and back.
const TITLES: [&str; 20] = [
    "Apple",
    "banana",
    "éclair",
    "e\u{301}clair",
    "Zebra",
    "ﬁ and ß",
    "Ελλάδα",
    "Москва",
    "Երևան",
    "თბილისი",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "ไทย",
    "ひらがな",
    "한국어",
    "日本語",
    "😀👩‍👩‍👧",
    "100%_'\"\\;--",
    " \u{a0}spaces ",
];

/// Every way to ask for a list: `sort=…&status=…`.
fn queries() -> impl Iterator<Item = String> {
    SORTS.into_iter().flat_map(|sort| {
        STATUSES
            .into_iter()
            .map(move |status| format!("sort={sort}&status={status}"))
    })
}

/// Where `Link: <…>; rel="next"` points to, as a path of this service.
#[track_caller]
fn next(answer: &Response) -> Option<String> {
    let link = answer.header("link")?;
    let target = link
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
        .unwrap_or_else(|| panic!("not `<…>; rel=\"next\"`: {link}"));
    // A relative reference and a whole URL are both right.
    Some(match target.split_once("://") {
        Some((_, rest)) => format!("/{}", rest.split_once('/').expect("a path").1),
        None => target.to_owned(),
    })
}

/// The value of `cursor` in a link.
#[track_caller]
fn cursor_of(link: &str) -> String {
    let (_, query) = link.split_once('?').expect("a query");
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
    cursor.expect("a cursor").to_owned()
}

/// The pages from this path on, each the array of its tasks.
#[track_caller]
fn walk(user: &Actor, first: &str) -> Vec<Vec<Value>> {
    const ENOUGH: usize = 2_000;
    let mut pages = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(asked) = path {
        let answer = user.get(&asked).expect(200);
        let Value::Array(tasks) = answer.json() else {
            panic!("the body is no array: {answer}");
        };
        pages.push(tasks);
        path = next(&answer);
        assert!(pages.len() < ENOUGH, "{first} never ends");
    }
    pages
}

fn ids(tasks: &[Value]) -> Vec<i64> {
    tasks.iter().map(id).collect()
}
