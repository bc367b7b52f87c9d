//! Parses the values of parameters.

use std::str::FromStr;

use tokio_postgres::config::TargetSessionAttrs;

pub fn port_of(text: &str) -> Result<u16, String> {
    match text {
        "" => Ok(5432),
        text => number("port", text).and_then(|port: u16| match port {
            0 => Err(wrong_value("port")),
            port => Ok(port),
        }),
    }
}

/// Values that select a standby are refused, because the service writes. `primary` means the same as
/// `read-write`, except for a primary whose transactions are read-only by default, which would be of no use
/// either.
pub fn session_attributes(value: &str) -> Result<TargetSessionAttrs, String> {
    choice(
        "target_session_attrs",
        value,
        &[
            ("any", TargetSessionAttrs::Any),
            ("read-write", TargetSessionAttrs::ReadWrite),
            ("primary", TargetSessionAttrs::ReadWrite),
            ("read-only", TargetSessionAttrs::ReadOnly),
        ],
    )
}

pub fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| wrong_value(name))
}

pub fn choice<T: Copy>(name: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(choice, _)| *choice == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
        format!(
            "has a wrong value for {name}: it must be one of {}",
            names.join(", ")
        )
    })
}

pub fn wrong_value(name: &str) -> String {
    format!("has a wrong value for {name}")
}

/// An invalid name is not quoted, because it may be the rest of an unescaped password.
pub fn printable(name: &str) -> &str {
    let is_name = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name {
        name
    } else {
        "(no name; percent-encode special characters)"
    }
}
