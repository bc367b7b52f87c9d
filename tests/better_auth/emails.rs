//! The links in Better Auth's e-mails contain tokens. Some of these are JWTs that are signed with the secret with which
//! the service verifies HS256 tokens, and some are sent to an unverified address. None of them may give access to the
//! API.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::issuer::{Email, Issuer};
use super::refused::assert_refused;
use super::tokens::{assert_good, service_of};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, random, wait};

/// Waits until `count` e-mails have arrived, checks the subject of the newest one, and returns it.
#[track_caller]
fn newest(issuer: &Issuer, count: usize, subject: &str) -> Email {
    let arrived = || {
        let mut emails = issuer.mailbox();
        (emails.len() == count).then(|| emails.pop().unwrap())
    };
    let email = wait::until(Duration::from_secs(5), arrived);
    let email = email.unwrap_or_else(|| panic!("expected {count} e-mails, got {:?}", issuer.mailbox()));
    assert_eq!(email.subject, subject, "{email:?}");
    assert!(email.url.contains(&email.token), "{email:?}");
    email
}

/// Makes the issuer send every kind of e-mail for which `tests/node/auth.mjs` configures a function.
fn all_emails(issuer: &Issuer) -> Vec<Email> {
    let ada = issuer.sign_up("Ada");
    let asks = |path: &str, body: Value| drop(ada.post(&format!("/api/auth/{path}"), body).expect(200));
    let address = || format!("stranger-{}@example.com", random::suffix()).to_lowercase();

    // If the current address is unverified, the link is sent to the new address at once.
    let stranger = address();
    asks("change-email", json!({ "newEmail": stranger }));
    assert_eq!(newest(issuer, 1, "verify address").to, stranger);

    asks("send-verification-email", json!({ "email": ada.email }));
    let verification = newest(issuer, 2, "verify address");
    assert_eq!(verification.to, ada.email);
    ada.follows(&verification.url);

    // If the current address is verified, a first link is sent to that address. When the user follows it, a second
    // link is sent to the new address.
    let stranger = address();
    asks("change-email", json!({ "newEmail": stranger }));
    let confirmation = newest(issuer, 3, "confirm new address");
    assert_eq!(confirmation.to, ada.email);
    ada.follows(&confirmation.url);
    let second_step = newest(issuer, 4, "verify address");
    assert_eq!(second_step.to, stranger);

    asks("request-password-reset", json!({ "email": ada.email }));
    newest(issuer, 5, "reset password");
    asks("delete-user", json!({}));
    newest(issuer, 6, "delete account");

    // The last two e-mails are sent after the new address has been confirmed.
    ada.follows(&second_step.url);
    asks("request-password-reset", json!({ "email": stranger }));
    newest(issuer, 7, "reset password");
    asks("change-email", json!({ "newEmail": address() }));
    newest(issuer, 8, "confirm new address");
    issuer.mailbox()
}

#[rstest]
fn no_token_from_an_e_mail_gives_access_to_the_api(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--emails"]);
    let app = service_of(&issuer, db);
    let emails = all_emails(&issuer);
    // Whoever reads the mailbox has the token. This reader is another user than the one in the token.
    let reader = issuer.sign_up("Reader");
    let mut jwts = 0;
    for email in &emails {
        let is_jwt = email.token.split('.').count() == 3;
        jwts += usize::from(is_jwt);
        let words = match is_jwt {
            true => &["Better Auth e-mail link", "not an API token"][..],
            false => &["opaque"],
        };
        assert_refused(&app, &reader, &email.token, words);
        let caller = reader.calls(&app, &email.token);
        for contract in CONTRACTS {
            caller.get(&contract.tasks(&caller)).assert_unauthorized();
            let task = json!({ "title": "not theirs" });
            caller.post(&contract.tasks(&caller), task).assert_unauthorized();
        }
    }
    assert_eq!((emails.len(), jwts), (8, 5), "{emails:?}");
    assert_good(&app, &reader, &reader.token());
}
