//! `examples/frontend` in a headless Chromium, with Better Auth in the frontend and the service at another
//! origin.
//!
//! The scenarios are in `tests/node/scenarios.mjs`.

use rstest::rstest;
use serde_json::json;

use super::stack::Stack;
use crate::support::token::now;
use crate::support::{Database, Postgres, Sqlite};

#[rstest]
fn two_people_keep_their_tasks_and_neither_sees_the_others(#[values(Sqlite, Postgres)] db: Database) {
    skip_at_a_deployment!();
    Stack::start(db).run_scenario("two_people", &[]);
}

#[test]
fn a_tab_of_a_signed_out_user_does_not_write_to_the_next_users_list() {
    Stack::start(Database::Sqlite).run_scenario("two_tabs", &[]);
}

#[test]
fn a_session_that_the_server_ended_leads_to_the_sign_in() {
    Stack::start(Database::Sqlite).run_scenario("an_ended_session", &[]);
}

#[test]
fn the_page_reports_an_outage_and_works_again_afterwards() {
    Stack::start(Database::Sqlite).run_scenario("an_outage", &[]);
}

#[test]
fn an_expired_token_is_replaced_and_its_401_is_readable_by_the_page() {
    let mut stack = Stack::start(Database::Sqlite);
    let ada = stack.app.user("ada");
    let mut claims = ada.claims();
    claims["exp"] = json!(now() - 60);
    let expired = ada.signed(&claims).token.unwrap();
    stack.run_scenario("an_expired_token", &[&expired]);
}

#[test]
fn a_due_date_is_the_same_day_in_every_time_zone() {
    Stack::start(Database::Sqlite).run_scenario("time_zones", &[]);
}

#[test]
fn changes_of_another_tab_are_not_overwritten_and_refused_writes_are_reverted() {
    Stack::start(Database::Sqlite).run_scenario("refused_writes", &[]);
}

#[test]
fn a_page_of_another_origin_gets_no_response() {
    Stack::start(Database::Sqlite).run_scenario("a_stranger", &[]);
}
