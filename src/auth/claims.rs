//! Checks the claims of a token: its validity period, its kind, its issuer, its audience and its user.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthenticatedUser, Identity, Refusal};
use crate::domain::UserId;

/// The allowed difference between the clocks of the issuer and the service.
const LEEWAY_SECONDS: f64 = 5.0;

/// The maximum number of characters of an untrusted value in an error message.
const MAX_EXCERPT_CHARS: usize = 200;

pub(super) struct Claims(pub Map<String, Value>);

/// Whether a token must have `iss` and `aud`. If a token has them, their values are always checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IssuerAndAudience {
    Required,
    IfPresent,
}

impl Claims {
    /// Returns when the token expires, in seconds since 1970 and including the leeway. Fails if the token has expired
    /// or is not valid yet.
    pub fn valid_until(&self, now: f64) -> Result<f64, Refusal> {
        let expires = finite_number(self.0.get("exp")).ok_or(Refusal::NoExpiry)?;
        if now >= expires + LEEWAY_SECONDS {
            return Err(Refusal::Expired((now - expires) as u64));
        }
        for claim in ["nbf", "iat"] {
            let Some(value) = self.0.get(claim) else {
                continue;
            };
            let moment =
                finite_number(Some(value)).ok_or(Refusal::Malformed("nbf or iat is not a number"))?;
            if moment > now + LEEWAY_SECONDS {
                return Err(Refusal::NotYetValid((moment - now) as u64));
            }
        }
        Ok(expires + LEEWAY_SECONDS)
    }

    /// Refuses two kinds of tokens that Better Auth signs with the same keys as API tokens: tokens in the links of its
    /// e-mails, some of which are sent to unverified addresses, and access tokens that require a proof of possession
    /// (`cnf`).
    pub fn check_kind(&self) -> Result<(), Refusal> {
        let has = |claim: &str| self.0.contains_key(claim);
        if has("updateTo") || has("requestType") {
            return Err(Refusal::EmailLink);
        }
        if has("cnf") {
            return Err(Refusal::KeyBound);
        }
        match self.user_id() {
            Err(Refusal::EmailLink) => Err(Refusal::EmailLink),
            _ => Ok(()),
        }
    }

    pub fn check_issuer_and_audience(
        &self,
        issuers: &[String],
        audiences: &[String],
        rule: IssuerAndAudience,
    ) -> Result<(), Refusal> {
        let is_expected = |value: &Value, expected: &[String]| {
            let text = value.as_str();
            text.is_some_and(|text| expected.iter().any(|expected| expected == text))
        };
        let is_optional = rule == IssuerAndAudience::IfPresent;
        let iss = self.0.get("iss");
        if !iss.map_or(is_optional, |iss| is_expected(iss, issuers)) {
            let expected = format_alternatives(issuers);
            return Err(match iss.and_then(Value::as_str) {
                Some("") => Refusal::EmptyIssuer { expected },
                _ => Refusal::Issuer {
                    found: iss.map_or("missing".into(), excerpt),
                    expected,
                },
            });
        }
        let aud = self.0.get("aud");
        let is_for_service = |aud: &Value| match aud {
            Value::Array(all) => all.iter().any(|aud| is_expected(aud, audiences)),
            single => is_expected(single, audiences),
        };
        if !aud.map_or(is_optional, is_for_service) {
            return Err(Refusal::Audience {
                found: aud.map_or("missing".into(), excerpt),
                expected: format_alternatives(audiences),
            });
        }
        Ok(())
    }

    /// Must be called after `check_issuer_and_audience`: the claim `userId` is accepted if `iss` or `aud` is present,
    /// and this method does not check their values.
    pub fn user(&self) -> Result<AuthenticatedUser, Refusal> {
        let id = match self.user_id()? {
            Value::String(text) => UserId::parse(text),
            // Other numbers than 64-bit integers are refused, because they are parsed as floats, and different ids
            // could become the same float.
            Value::Number(number) if number.is_i64() || number.is_u64() => UserId::parse(&number.to_string()),
            _ => None,
        };
        let email = self.optional_text(&[&["email"], &["user", "email"]]);
        let name = self.optional_text(&[&["name"], &["user", "name"]]);
        Ok(AuthenticatedUser {
            identity: Arc::new(Identity {
                id: id.ok_or(Refusal::NoUser)?,
                claims_hash: BuildHasherDefault::<DefaultHasher>::default().hash_one((&email, &name)),
                email,
                name,
                issued_at: finite_number(self.0.get("iat")),
            }),
        })
    }

    /// Returns the first claim in `PLACES` that is present, even if its value is not a valid user id. The e-mail
    /// address is not used, because an unverified address may belong to somebody else. `userId` is skipped if the
    /// token has neither an issuer nor an audience, because the token may then come from the link in an e-mail.
    fn user_id(&self) -> Result<&Value, Refusal> {
        const PLACES: [&[&str]; 6] = [
            &["sub"],
            &["id"],
            &["user_id"],
            USER_ID,
            &["user", "id"],
            &["session", "userId"],
        ];
        const USER_ID: &[&str] = &["userId"];
        let names_origin = self.0.contains_key("iss") || self.0.contains_key("aud");
        let mut places = PLACES.iter().filter(|place| names_origin || **place != USER_ID);
        match places.find_map(|place| self.at(place)) {
            Some(id) => Ok(id),
            None if self.at(USER_ID).is_some() => Err(Refusal::EmailLink),
            None => Err(Refusal::NoUser),
        }
    }

    /// Returns the first claim at `paths` that is a string. Returns `None` if there is none, or if the string is blank,
    /// too long for an index, or contains NUL, which PostgreSQL cannot store.
    fn optional_text(&self, paths: &[&[&str]]) -> Option<String> {
        const MAX_TEXT_BYTES: usize = 1_000;
        let text = paths.iter().find_map(|path| self.at(path)?.as_str())?;
        let is_valid = !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains('\0');
        is_valid.then(|| text.into())
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let found = rest
            .iter()
            .try_fold(self.0.get(*first)?, |value, name| value.get(name))?;
        (!found.is_null()).then_some(found)
    }
}

/// Returns the beginning of an untrusted value. Control characters are escaped when the result is printed with `{:?}`.
pub(super) fn excerpt(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(MAX_EXCERPT_CHARS).collect(),
        other => other.to_string().chars().take(MAX_EXCERPT_CHARS).collect(),
    }
}

/// Formats the values as `"a"` or `"a" or "b"`.
fn format_alternatives(values: &[String]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    quoted.join(" or ")
}

fn finite_number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64).filter(|number| number.is_finite())
}
