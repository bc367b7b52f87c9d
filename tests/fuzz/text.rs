//! Texts that are difficult for parsers.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// JSON values as they are written in a document. Some of them are not valid JSON.
const LITERALS: [&str; 40] = [
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\u0000""#,
    r#""a\u0000b""#,
    r#""\x""#,
    r#""\u12""#,
    r#"""#,
    r#""""#,
    r#"" ""#,
    "\"\u{a0}\"",
    "\"\u{2028}\u{feff}\"",
    "\"\u{202e}\u{200b}\"",
    "\"\u{1d173}\"",
    "\"\t\"",
    "\"\n\"",
    "null",
    "true",
    "false",
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "-1e-999",
    "0.1e",
    "01",
    "9007199254740993",
    "99999999999999999999999999",
    "[]",
    "{}",
    "[[]]",
    r#"{"a":{"b":null}}"#,
    r#""2026-01-02""#,
    r#""2026-02-30""#,
    r#""2026-01-02T03:04:60Z""#,
    r#""2026-01-02T24:00:00Z""#,
    r#""9999-12-31T23:59:59.9999999999-23:59""#,
    r#""0000-01-01T00:00:00+23:59""#,
    r#""+262142-12-31T23:59:59Z""#,
    r#""2026-01-02T03:04:05+99:99""#,
    r#""infinity""#,
];

/// Texts with a special meaning for some layer between the client and the database.
pub const WORDS: [&str; 32] = [
    "",
    "0",
    "1",
    "-1",
    "+1",
    "01",
    "1.0",
    "1e3",
    "1001",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "null",
    "true",
    "all",
    "pending",
    "completed",
    "title",
    "due_date",
    "created",
    "%",
    "%00",
    "%ff",
    "%zz",
    "%u0041",
    "..",
    "%2e%2e",
    "%2f",
    "tasks",
    "'; DROP TABLE tasks; --",
    "\u{0}",
    "\u{1f4be}",
];

pub fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => select(&WORDS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z0-9%&=+;.-]{0,12}",
        1 => (0..4_000_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn literal() -> impl Strategy<Value = String> {
    let quoted = |text: String| serde_json::to_string(&text).unwrap();
    prop_oneof![
        3 => select(&LITERALS[..]).prop_map(str::to_owned),
        2 => any::<String>().prop_map(quoted),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (190..210_usize, select(vec!['x', 'é', '\u{1f4be}', '\u{fdfa}', '\u{0301}']))
            .prop_map(move |(length, c)| quoted(c.to_string().repeat(length))),
        1 => (990..1_010_usize).prop_map(move |length| quoted("\u{1f4be}".repeat(length))),
        1 => "[0-9+-]{1,6}-[0-9]{2}-[0-9]{2}([Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|z|[+-][0-2][0-9]:[0-9]{2})?)?"
            .prop_map(quoted),
    ]
}

/// Generates text with the structure of JSON and often invalid literals.
pub fn json() -> BoxedStrategy<String> {
    literal()
        .prop_recursive(3, 24, 4, |inner| {
            let members = prop::collection::vec((literal(), inner.clone()), 0..4);
            let items = prop::collection::vec(inner, 0..4);
            prop_oneof![
                items.prop_map(|items| format!("[{}]", items.join(","))),
                members.prop_map(|members| object(&members)),
            ]
        })
        .boxed()
}

/// Generates an object with some of these members and some others, in any order and possibly repeated.
pub fn object_with(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => select(names).prop_map(|name| format!("{name:?}")),
        1 => literal(),
    ];
    prop::collection::vec((name, json()), 0..7).prop_map(|members| object(&members))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Changes, removes or inserts some bytes, or truncates the text.
pub fn damaged(text: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (0..5_u8, any::<Index>(), any::<u8>());
    (text, prop::collection::vec(damage, 1..6)).prop_map(|(mut bytes, damages)| {
        for (kind, at, byte) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                3 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}
