//! The claims of a token: its validity period, its kind, its issuer and audience, and its user.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AuthenticatedUser, Identity, Refusal};
use crate::domain::UserId;

/// The allowed difference between the clocks of the issuer and the service, in seconds.
const LEEWAY: f64 = 5.0;

/// The maximum number of characters of an untrusted claim in the log.
const MAX_SHOWN: usize = 200;

pub(super) struct Claims(pub Map<String, Value>);

/// Whether `iss` and `aud` are required, or are only checked if the token has them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Required,
    IfPresent,
}

impl Claims {
    /// When the token expires, in seconds since 1970, including the leeway.
    pub fn valid_until(&self, now: f64) -> Result<f64, Refusal> {
        let expires = number(self.0.get("exp")).ok_or(Refusal::NoExpiry)?;
        if now >= expires + LEEWAY {
            return Err(Refusal::Expired((now - expires) as u64));
        }
        for claim in ["nbf", "iat"] {
            let Some(value) = self.0.get(claim) else {
                continue;
            };
            let moment = number(Some(value)).ok_or(Refusal::Malformed("nbf or iat is not a number"))?;
            if moment > now + LEEWAY {
                return Err(Refusal::NotYet((moment - now) as u64));
            }
        }
        Ok(expires + LEEWAY)
    }

    /// Refuses tokens that are not meant for an API, because Better Auth signs them with the same keys: those of the
    /// links in its e-mails, some of which go to unverified addresses, and access tokens that are only valid with a
    /// proof of possession (`cnf`).
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

    pub fn check_origin(
        &self,
        issuers: &[String],
        audiences: &[String],
        rule: Origin,
    ) -> Result<(), Refusal> {
        let is = |value: &Value, expected: &[String]| {
            let text = value.as_str();
            text.is_some_and(|text| expected.iter().any(|expected| expected == text))
        };
        let missing_is_fine = rule == Origin::IfPresent;
        if !self.0.get("iss").map_or(missing_is_fine, |iss| is(iss, issuers)) {
            let expected = one_of(issuers);
            return Err(match self.0.get("iss").and_then(Value::as_str) {
                Some("") => Refusal::EmptyIssuer { expected },
                _ => Refusal::Issuer {
                    found: self.shown("iss"),
                    expected,
                },
            });
        }
        let for_us = |aud: &Value| match aud {
            Value::Array(all) => all.iter().any(|aud| is(aud, audiences)),
            one => is(one, audiences),
        };
        if !self.0.get("aud").map_or(missing_is_fine, for_us) {
            return Err(Refusal::Audience {
                found: self.shown("aud"),
                expected: one_of(audiences),
            });
        }
        Ok(())
    }

    /// Must be called after `check_origin`, because `userId` only counts in a token with a correct origin.
    pub fn user(&self) -> Result<AuthenticatedUser, Refusal> {
        let id = match self.user_id()? {
            Value::String(text) => UserId::parse(text),
            // Only 64-bit integers, because different larger numbers could be parsed as the same float.
            Value::Number(number) if number.is_i64() || number.is_u64() => UserId::parse(&number.to_string()),
            _ => None,
        };
        Ok(AuthenticatedUser {
            identity: Arc::new(Identity {
                id: id.ok_or(Refusal::NoUser)?,
                email: self.text(&[&["email"], &["user", "email"]]),
                name: self.text(&[&["name"], &["user", "name"]]),
                issued_at: number(self.0.get("iat")),
            }),
        })
    }

    /// The first of these claims that is present decides: if `sub` is not a valid user id, `id` is not tried. The
    /// e-mail address is not among them, because it may be unverified, and then belong to somebody else. `userId` is
    /// skipped if the token has neither an issuer nor an audience, because it may then be the token of an e-mail link.
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

    /// An optional claim. A value that the database cannot store, or that is too long for an index, counts as absent.
    fn text(&self, paths: &[&[&str]]) -> Option<String> {
        let text = paths.iter().find_map(|path| self.at(path)?.as_str())?;
        let fits = !text.trim().is_empty() && text.len() <= 1_000 && !text.contains('\0');
        fits.then(|| text.into())
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let found = rest
            .iter()
            .try_fold(self.0.get(*first)?, |value, name| value.get(name))?;
        (!found.is_null()).then_some(found)
    }

    fn shown(&self, claim: &str) -> String {
        match self.0.get(claim) {
            None => "missing".into(),
            Some(value) => shown(value),
        }
    }
}

/// Shortens an untrusted value. Its control characters are escaped when it is printed (`{:?}`).
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(MAX_SHOWN).collect(),
        other => other.to_string().chars().take(MAX_SHOWN).collect(),
    }
}

/// `"a"`, or `"a" or "b"`.
fn one_of(values: &[String]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    quoted.join(" or ")
}

fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        Claims(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_token_holds_until_the_leeway_after_its_expiry_and_no_longer() {
        let claims = claims(json!({"exp": 1_000.5}));
        assert_eq!(claims.valid_until(1_005.4), Ok(1_005.5));
        assert_eq!(claims.valid_until(1_005.5), Err(Refusal::Expired(5)));
    }

    #[test]
    fn a_token_from_the_future_is_refused() {
        for claim in ["nbf", "iat"] {
            let claims = claims(json!({"exp": 2_000, claim: 1_000}));
            assert!(claims.valid_until(995.0).is_ok());
            assert_eq!(claims.valid_until(994.0), Err(Refusal::NotYet(6)));
        }
    }

    #[test]
    fn the_first_place_that_names_a_user_decides() {
        let id = |value| claims(value).user().map(|user| user.id().to_string());
        assert_eq!(id(json!({"sub": "a", "id": "b"})), Ok("a".into()));
        assert_eq!(id(json!({"sub": null, "id": 7})), Ok("7".into()));
        assert_eq!(id(json!({"session": {"userId": "s"}})), Ok("s".into()));
        assert_eq!(id(json!({"sub": " ", "id": "b"})), Err(Refusal::NoUser));
        assert_eq!(id(json!({"email": "a@b.c"})), Err(Refusal::NoUser));
        assert_eq!(id(json!({"sub": true})), Err(Refusal::NoUser));
    }

    #[test]
    fn a_top_level_user_id_counts_beside_an_issuer_or_an_audience_alone() {
        let id = |value| claims(value).user().map(|user| user.id().to_string());
        assert_eq!(id(json!({"userId": "a", "iss": "us"})), Ok("a".into()));
        assert_eq!(id(json!({"userId": "a", "aud": "us"})), Ok("a".into()));
        assert_eq!(id(json!({"userId": "a"})), Err(Refusal::EmailLink));
        assert_eq!(id(json!({"userId": "a", "sub": null})), Err(Refusal::EmailLink));
        assert_eq!(id(json!({"userId": null})), Err(Refusal::NoUser));
        // `userId` is skipped, and the other claims still count.
        assert_eq!(id(json!({"userId": "a", "user": {"id": "b"}})), Ok("b".into()));
        assert_eq!(id(json!({"userId": "a", "sub": "b"})), Ok("b".into()));
    }

    #[test]
    fn tokens_that_are_meant_for_something_else_are_told_by_their_claims() {
        let kind = |value| claims(value).check_kind();
        assert_eq!(kind(json!({"sub": "a"})), Ok(()));
        for claim in ["updateTo", "requestType"] {
            assert_eq!(kind(json!({"sub": "a", claim: null})), Err(Refusal::EmailLink));
        }
        assert_eq!(kind(json!({"sub": "a", "cnf": null})), Err(Refusal::KeyBound));
        assert_eq!(
            kind(json!({"email": "a@b.c", "userId": "a"})),
            Err(Refusal::EmailLink)
        );
        assert_eq!(kind(json!({"email": "a@b.c"})), Ok(()), "which names no user");
    }

    #[test]
    fn an_audience_may_be_a_list_that_holds_ours() {
        let ours = ["us".to_string(), "ours".to_string()];
        let check = |value, rule| claims(value).check_origin(&ours, &ours, rule).is_ok();
        assert!(check(json!({"iss": "us", "aud": ["x", "us"]}), Origin::Required));
        assert!(check(json!({"iss": "ours", "aud": "us"}), Origin::Required));
        assert!(!check(json!({"iss": "us", "aud": []}), Origin::Required));
        assert!(!check(json!({"iss": "us"}), Origin::Required));
        assert!(check(json!({}), Origin::IfPresent));
        assert!(!check(json!({"aud": "them"}), Origin::IfPresent));
        assert!(!check(json!({"iss": "them"}), Origin::IfPresent));
        assert!(!check(json!({"iss": null}), Origin::IfPresent));
        let empty = claims(json!({"iss": ""})).check_origin(&ours, &ours, Origin::IfPresent);
        let expected = r#""us" or "ours""#.into();
        assert_eq!(empty, Err(Refusal::EmptyIssuer { expected }));
    }
}
