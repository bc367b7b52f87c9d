//! `limit` must be from 1 to 1000; any other value is invalid and never adjusted.

use rstest::rstest;
use serde_json::Value;

use super::queries;
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_limit_out_of_range_is_bad_input_and_never_clamped(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("Buy milk");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for limit in [
            "0",
            "1001",
            "-1",
            "abc",
            "",
            "1.5",
            "%2B5",
            "1e2",
            "0x10",
            "5,6",
            "5%00",
            "%D9%A1",
            "65537",
            "4294967297",
            "18446744073709551617",
            "NaN",
        ] {
            for query in [
                format!("limit={limit}"),
                format!("status=pending&limit={limit}&sort=title"),
            ] {
                let answer = ada.get(&format!("{path}?{query}"));
                answer.assert_bad_fields(contract, &["limit"]);
            }
        }
    }
}

#[rstest]
fn a_limit_given_twice_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.tasks(&ada);
        for query in ["limit=5&limit=5", "limit=5&limit=6", "limit=&sort=title&limit=5"] {
            let answer = ada.get(&format!("{path}?{query}"));
            answer.assert_bad_fields(contract, &["limit"]);
        }
    }
}

#[rstest]
fn every_wrong_parameter_is_reported_at_once(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = format!("{}?limit=0&sort=x&status=y", contract.tasks(&ada));
        ada.get(&path)
            .assert_bad_fields(contract, &["limit", "sort", "status"]);
    }
}

#[rstest]
fn the_limits_of_the_range_are_valid(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    ada.has_task("one");
    ada.has_task("two");
    for contract in CONTRACTS {
        for query in queries() {
            for (limit, count) in [("1", 1), ("2", 2), ("999", 2), ("1000", 2)] {
                let path = format!("{}?{query}&limit={limit}", contract.tasks(&ada));
                let list = ada.get(&path).expect(200).json();
                let expected = if query.ends_with("completed") { 0 } else { count };
                assert_eq!(list.as_array().map(Vec::len), Some(expected), "{path}");
            }
        }
    }
}

#[rstest]
fn head_refuses_the_same_queries_as_get(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for query in ["limit=0", "limit=5&cursor=x"] {
            let path = format!("{}?{query}", contract.tasks(&ada));
            let head = ada.request("HEAD", &path, &[], b"");
            assert_eq!(head.status, contract.bad_input(), "{head}");
        }
    }
}

#[rstest]
fn without_a_limit_the_whole_list_comes_back(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for number in 0..30 {
        ada.has_task(&format!("{number}"));
    }
    for contract in CONTRACTS {
        let answer = ada.get(&contract.tasks(&ada)).expect(200);
        assert_eq!(answer.header("link"), None);
        assert_eq!(answer.json().as_array().map(Vec::len), Some(30));
        let Value::Array(_) = ada
            .get(&format!("{}?limit=4", contract.tasks(&ada)))
            .expect(200)
            .json()
        else {
            panic!("a page should be an array");
        };
    }
}
