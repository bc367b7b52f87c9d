//! `examples/frontend` in a headless Chromium, with Better Auth in the frontend and the service at another
//! origin.
//!
//! The scenarios are in `tests/node/scenarios.mjs`.

use serde_json::json;

use super::stack::Stack;
use crate::support::Database;
use crate::support::token::now;

on_both_databases!(
    fn two_people_keep_their_tasks_and_neither_sees_the_others(db: Database) {
        Stack::start(db).plays("two_people", &[]);
    }
);

#[test]
fn a_tab_whose_user_is_signed_in_no_more_never_writes_into_the_list_of_the_next() {
    Stack::start(Database::Sqlite).plays("two_tabs", &[]);
}

#[test]
fn a_session_that_ended_underneath_leads_to_the_sign_in() {
    Stack::start(Database::Sqlite).plays("an_ended_session", &[]);
}

#[test]
fn while_the_service_is_down_the_page_says_so_and_afterwards_it_goes_on() {
    Stack::start(Database::Sqlite).plays("an_outage", &[]);
}

#[test]
fn an_expired_token_is_replaced_and_its_401_is_readable_by_the_page() {
    let mut stack = Stack::start(Database::Sqlite);
    let ada = stack.app.user("ada");
    let mut claims = ada.claims();
    claims["exp"] = json!(now() - 60);
    let expired = ada.signed(&claims).token.unwrap();
    stack.plays("an_expired_token", &[&expired]);
}

#[test]
fn a_due_date_is_the_same_day_in_every_time_zone() {
    Stack::start(Database::Sqlite).plays("time_zones", &[]);
}

#[test]
fn what_another_tab_changed_is_not_overwritten_and_refused_writes_are_taken_back() {
    Stack::start(Database::Sqlite).plays("refused_writes", &[]);
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    Stack::start(Database::Sqlite).plays("a_stranger", &[]);
}
