//! `limit`, `cursor` and `Link`: the pages of a list together contain each task exactly once. If tasks are
//! inserted, deleted or changed meanwhile, this holds for those that keep their place.

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

/// Titles in many scripts and with characters that programs often sort or encode incorrectly.
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

/// Returns every combination of sort and filter as `sort=…&status=…`.
fn queries() -> impl Iterator<Item = String> {
    SORTS.into_iter().flat_map(|sort| {
        STATUSES
            .into_iter()
            .map(move |status| format!("sort={sort}&status={status}"))
    })
}

/// Returns the target of the link with `rel="next"` as a path of this service.
#[track_caller]
fn next(answer: &Response) -> Option<String> {
    let link = answer.header("link")?;
    let target = link
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
        .unwrap_or_else(|| panic!("not `<…>; rel=\"next\"`: {link}"));
    // `Link` may contain a relative reference or an absolute URL.
    Some(match target.split_once("://") {
        Some((_, rest)) => format!("/{}", rest.split_once('/').expect("the URL should have a path").1),
        None => target.to_owned(),
    })
}

/// Returns the value of `cursor` in a link.
#[track_caller]
fn cursor_of(link: &str) -> String {
    let (_, query) = link.split_once('?').expect("the link should have a query");
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
    cursor.expect("the link should have a cursor").to_owned()
}

/// Follows the links from the first page to the last, and returns the tasks of each page.
#[track_caller]
fn walk(user: &Actor, first: &str) -> Vec<Vec<Value>> {
    const MAX_PAGES: usize = 2_000;
    let mut pages = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(asked) = path {
        let answer = user.get(&asked).expect(200);
        let Value::Array(tasks) = answer.json() else {
            panic!("the body is not an array: {answer}");
        };
        pages.push(tasks);
        path = next(&answer);
        assert!(pages.len() < MAX_PAGES, "{first} has too many pages");
    }
    pages
}

fn ids(tasks: &[Value]) -> Vec<i64> {
    tasks.iter().map(id).collect()
}
