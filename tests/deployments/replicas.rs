//! Replicas that have seen a user before another replica changed the user's row. They must still apply a newer token.

use std::sync::Arc;

use serde_json::json;

use super::replicas;
use crate::support::{Database, OwnDatabase};

#[test]
fn a_replica_with_outdated_knowledge_of_a_user_applies_a_newer_token() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let replicas = replicas(2, &database, &database.url);
    let ada = replicas[0].user("ada");
    let later = |seconds: i64, email: &str| {
        let mut claims = ada.claims();
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() + seconds);
        claims["email"] = json!(email);
        ada.signed(&claims)
    };
    let renamed = later(10, "new@example.com");
    // This token has the same email as the only token that the second replica has seen before. In between, the first
    // replica changes the email in the row.
    let again = later(20, &ada.email);
    for (user, email, replica) in [
        (&ada, &*ada.email, 0),
        (&ada, &*ada.email, 1),
        (&renamed, "new@example.com", 0),
        (&again, &*ada.email, 1),
    ] {
        user.at(replicas[replica].target()).get("/api/tasks").expect(200);
        assert_eq!(database.value("SELECT email FROM users").as_deref(), Some(email));
    }
}

#[test]
fn a_name_change_is_applied_without_an_email_claim() {
    skip_at_a_deployment!();
    let database = Arc::new(OwnDatabase::create(Database::Postgres));
    let replicas = replicas(2, &database, &database.url);
    let mut claims = replicas[0].user("ada").claims();
    claims.as_object_mut().unwrap().remove("email");
    let issued_at = claims["iat"].as_i64().unwrap();
    for (name, replica, later) in [("Ada", 0, 0), ("Ada", 1, 0), ("Augusta", 0, 10), ("Ada", 1, 20)] {
        claims["name"] = json!(name);
        claims["iat"] = json!(issued_at + later);
        let ada = replicas[replica].user("ada").signed(&claims);
        ada.get("/api/tasks").expect(200);
        assert_eq!(database.value("SELECT name FROM users").as_deref(), Some(name));
    }
}
