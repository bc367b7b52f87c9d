//! A parser for the text format of Prometheus. It panics on mistakes such as a repeated series or a sample
//! without a type.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

#[derive(Debug, Default)]
pub struct Exposition {
    pub samples: Vec<Sample>,
    pub types: BTreeMap<String, String>,
}

impl Exposition {
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line should end with a line feed");
        let mut parsed = Self::default();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest
                    .split_once(' ')
                    .expect("a TYPE line should have a name and a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let first = parsed.types.insert(name.to_owned(), kind.to_owned()).is_none();
                assert!(first, "{name} has two TYPE lines");
            } else if !line.starts_with('#') && !line.is_empty() {
                let sample = parse_sample(line).unwrap_or_else(|| panic!("not a sample: {line}"));
                assert!(
                    seen.insert(format!("{}{:?}", sample.name, sample.labels)),
                    "the series appears twice: {line}"
                );
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| sample.name.strip_suffix(suffix))
                    .filter(|family| parsed.types.get(*family).is_some_and(|kind| kind == "histogram"))
                    .unwrap_or(&sample.name);
                assert!(parsed.types.contains_key(family), "no TYPE line precedes {line}");
                parsed.samples.push(sample);
            }
        }
        parsed
    }

    /// Returns the samples with this name whose labels include these values.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(fits).collect()
    }

    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// Returns all values that a label has in any sample.
    pub fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter();
        samples
            .filter_map(|sample| sample.labels.get(label).map(String::as_str))
            .collect()
    }
}

/// Parses `name{label="value",…} 1.5`.
fn parse_sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, other) => value.push(other),
                }
            };
            labels.insert(label.trim().to_owned(), value);
            rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
        }
        rest = &rest[1..];
    }
    let value = match rest.trim() {
        "+Inf" => f64::INFINITY,
        text => text.parse().ok()?,
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}
