//! Sorting by title uses the CLDR root collation, with the same result on both databases.

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

/// Titles in the expected order: spaces, punctuation, symbols, currencies, digits, letters. Letters are
/// compared first by base letter, then by accent, and then by case, with lower case first.
const IN_ORDER: &[&str] = &[
    "  two spaces",
    " one space",
    "_x",
    "-x",
    ",x",
    ";x",
    ":x",
    "!x",
    "?x",
    ".x",
    "'x",
    "\"x",
    "(x",
    "[x",
    "@x",
    "*x",
    "/x",
    "#x",
    "%x",
    "+x",
    "<x",
    "=x",
    "~x",
    "😀x",
    "$x",
    "€x",
    "0",
    "00",
    "01",
    "1",
    "10",
    "1a",
    "2",
    "a",
    "A",
    "á",
    "Á",
    "ä",
    "Ä",
    "a b",
    "a_b",
    "a-b",
    "aa",
    "AA",
    "ab",
    "Apfel",
    "Äpfel",
    "apple",
    "Apple",
    "b",
    "B",
    "banana",
    "cherry",
    "co op",
    "co-op",
    "coop",
    "eclair",
    "éclair",
    "Éclair",
    "edge",
    "fi",
    "ﬁ",
    "fj",
    "i",
    "I",
    "j",
    "n",
    "ñ",
    "naive",
    "naïve",
    "nz",
    "o",
    "ø",
    "oe",
    "œ",
    "of",
    "p",
    "resume",
    "Resume",
    "résumé",
    "Résumé",
    "ss",
    "ß",
    "st",
    "strasse",
    "Strasse",
    "straße",
    "Straße",
    "z",
    "zebra",
    "Zebra",
    "α",
    "ω",
    "Ω",
    "б",
    "я",
    "Я",
    "א",
    "ก",
    "あ",
    "ア",
    "一",
    "中",
    "日本",
];

/// Returns every title once, in an order that is unrelated to the expected one.
fn shuffled(titles: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    // The number of titles is not a multiple of the prime 37, so every index is reached.
    assert!(!titles.len().is_multiple_of(37));
    (0..titles.len()).map(|step| titles[(step * 37 + 11) % titles.len()])
}

#[rstest]
fn titles_come_in_alphabetical_order(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in ["Zebra", "éclair", "cherry", "banana", "Apple"] {
        ada.has_task(title);
    }
    for contract in CONTRACTS {
        let titles = ada.titles(&format!("{}?sort=title", contract.tasks(&ada)));
        assert_eq!(titles, ["Apple", "banana", "cherry", "éclair", "Zebra"]);
    }
}

#[rstest]
fn the_order_is_that_of_the_cldr_root_collation(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for title in shuffled(IN_ORDER) {
        ada.has_task(title);
    }
    for contract in CONTRACTS {
        let titles = ada.titles(&format!("{}?sort=title", contract.tasks(&ada)));
        assert_eq!(titles, IN_ORDER);
        let pending = ada.titles(&format!("{}?sort=title&status=pending", contract.tasks(&ada)));
        assert_eq!(pending, IN_ORDER);
    }
}

#[rstest]
fn a_changed_title_moves(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let first = id(&ada.has_task("apple"));
    ada.has_task("banana");
    for contract in CONTRACTS {
        ada.put(&contract.task(&ada, first), json!({ "title": "Éclair" }))
            .expect(200);
        let path = format!("{}?sort=title", contract.tasks(&ada));
        assert_eq!(ada.titles(&path), ["banana", "Éclair"]);
        ada.put(&contract.task(&ada, first), json!({ "title": "Ähre" }))
            .expect(200);
        assert_eq!(ada.titles(&path), ["Ähre", "banana"]);
    }
}

#[rstest]
fn titles_that_read_the_same_are_ordered_by_id(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let same = ["éclair", "e\u{301}clair", "éclair", "e\u{301}clair"];
    let mut ids: Vec<i64> = same.map(|title| id(&ada.has_task(title))).into();
    ada.has_task("eclair");
    ada.has_task("edge");
    for contract in CONTRACTS {
        let list = ada
            .get(&format!("{}?sort=title", contract.tasks(&ada)))
            .expect(200)
            .json();
        let listed: Vec<i64> = list.as_array().unwrap().iter().map(id).collect();
        if listed[1] == ids[3] {
            ids.reverse();
        }
        assert_eq!(listed[1..5], ids);
    }
}

#[rstest]
fn the_longest_titles_are_ordered_by_their_last_character(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for start in ["a".repeat(199), "語".repeat(199), "😀".repeat(199)] {
        for end in ["c", "a", "b"] {
            ada.has_task(&format!("{start}{end}"));
        }
    }
    for contract in CONTRACTS {
        let titles = ada.titles(&format!("{}?sort=title", contract.tasks(&ada)));
        let ends: Vec<char> = titles.iter().filter_map(|title| title.chars().last()).collect();
        assert_eq!(ends, ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
    }
}
