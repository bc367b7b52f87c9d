//! The kinds of tokens that a frontend with Better Auth sends, and the row in `users` that the service creates for
//! their user.

use rstest::rstest;
use serde_json::json;

use super::issuer::{Issuer, Session};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

/// Starts a service whose `BETTER_AUTH_URL` is the URL of this issuer.
pub fn service_of(issuer: &Issuer, db: Database) -> TestApp {
    TestApp::builder(db).env("BETTER_AUTH_URL", &issuer.url).start()
}

/// Checks that the token gives access to its user's tasks through both contracts, and not to another user's tasks.
#[track_caller]
pub fn assert_good(app: &TestApp, session: &Session, token: &str) {
    let user = session.calls(app, token);
    for contract in CONTRACTS {
        let task = user.post(&contract.tasks(&user), json!({ "title": "Buy milk" }));
        assert_eq!(task.expect(201).json()["user_id"], session.id.as_str());
        assert!(
            user.titles(&contract.tasks(&user))
                .contains(&"Buy milk".to_owned())
        );
    }
    let other = app.user("other");
    user.get(&CONTRACTS[1].tasks(&other)).assert_problem(403);
}

/// Checks the email and name in the user's row.
#[track_caller]
fn assert_row(app: &TestApp, id: &str, email: Option<&str>, name: Option<&str>) {
    let of = |column: &str| app.value(&format!("SELECT {column} FROM users WHERE id = '{id}'"));
    assert_eq!(of("email").as_deref(), email);
    assert_eq!(of("name").as_deref(), name);
}

#[track_caller]
fn assert_algorithm_works(db: Database, algorithm: &str) {
    let issuer = Issuer::start(&["--alg", algorithm]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.token());
    assert_row(&app, &ada.id, Some(&ada.email), Some("Ada"));

    let bob = issuer.sign_up("Bob");
    let bob = bob.calls(&app, &bob.token());
    assert!(
        bob.titles("/api/tasks").is_empty(),
        "Bob should not see Ada's tasks"
    );
}

#[rstest]
fn an_eddsa_token_as_the_jwt_plugin_issues_it_by_default_is_accepted(
    #[values(Sqlite, Postgres)] db: Database,
) {
    skip_at_a_deployment!();
    assert_algorithm_works(db, "EdDSA");
}

#[rstest]
fn an_es256_token_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    assert_algorithm_works(db, "ES256");
}

#[rstest]
fn an_es512_token_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    assert_algorithm_works(db, "ES512");
}

#[rstest]
fn an_rs256_token_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    assert_algorithm_works(db, "RS256");
}

#[rstest]
fn a_ps256_token_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    assert_algorithm_works(db, "PS256");
}

#[rstest]
fn an_hs256_token_of_a_custom_signer_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    // In this mode, the URL of the issuer's key set returns 404. HS256 tokens must be accepted all the same.
    assert_algorithm_works(db, "HS256");
}

#[rstest]
fn an_hs256_token_of_a_bridge_route_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.bridge_token());
    assert_row(&app, &ada.id, Some(&ada.email), Some("Ada"));
}

#[rstest]
fn bridge_and_plugin_tokens_of_one_person_lead_to_the_same_tasks(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    ada.calls(&app, &ada.bridge_token()).has_task("by the bridge");
    ada.calls(&app, &ada.token()).has_task("by the plugin");
    let titles = ada.calls(&app, &ada.token()).titles("/api/tasks?sort=title");
    assert_eq!(titles, ["by the bridge", "by the plugin"]);
}

#[rstest]
fn the_cookie_of_the_session_cache_is_accepted(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--session-cache", "secret"]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    // The token in the cookie names the user in the claims `user` and `session`, and not at the top level.
    assert_good(&app, &ada, ada.cookie("better-auth.session_data"));
    assert_row(&app, &ada.id, Some(&ada.email), Some("Ada"));
}

#[rstest]
fn a_payload_with_only_sub_is_enough(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--payload", "sub"]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.token());
    assert_row(&app, &ada.id, None, None);
}

#[rstest]
fn a_payload_with_only_id_and_email_is_enough(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&["--payload", "id-email"]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.token());
    assert_row(&app, &ada.id, Some(&ada.email), None);
}

#[rstest]
fn a_name_changed_at_the_issuer_reaches_the_users_row(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    let issuer = Issuer::start(&[]);
    let app = service_of(&issuer, db);
    let ada = issuer.sign_up("Ada");
    assert_good(&app, &ada, &ada.token());
    ada.post("/api/auth/update-user", json!({ "name": "Ada Lovelace" }))
        .expect(200);
    ada.calls(&app, &ada.token()).get("/api/tasks").expect(200);
    assert_row(&app, &ada.id, Some(&ada.email), Some("Ada Lovelace"));
}
