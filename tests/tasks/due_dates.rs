//! Due dates are RFC 3339 date-times with any offset or plain dates, and mean the same instant on both
//! databases.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::task::{id, time};
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_due_date_comes_back_in_utc_with_microseconds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for (sent, shown) in [
            ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000000Z"),
            ("2026-03-01T10:00:00+00:00", "2026-03-01T10:00:00.000000Z"),
            ("2026-03-01T10:00:00-00:00", "2026-03-01T10:00:00.000000Z"),
            ("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00.000000Z"),
            ("2026-03-01T10:00:00+05:45", "2026-03-01T04:15:00.000000Z"),
            ("2026-03-01T20:00:00-11:30", "2026-03-02T07:30:00.000000Z"),
            ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
            ("2026-03-01T10:00:00.5Z", "2026-03-01T10:00:00.500000Z"),
            ("2026-03-01T10:00:00.123456Z", "2026-03-01T10:00:00.123456Z"),
            ("2026-03-01T10:00:00.123456123Z", "2026-03-01T10:00:00.123456Z"),
            ("2026-03-01T10:00:00.000001+01:00", "2026-03-01T09:00:00.000001Z"),
            ("2026-03-01t10:00:00z", "2026-03-01T10:00:00.000000Z"),
            ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000000Z"),
            ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40.000000Z"),
            ("1600-01-01", "1600-01-01T00:00:00.000000Z"),
            ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
            ("0000-01-01", "0000-01-01T00:00:00.000000Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
            ("9999-12-31", "9999-12-31T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let body = json!({ "title": "t", "due_date": sent });
            let task = ada.post(&contract.tasks(&ada), body).expect(201).json();
            assert_eq!(task["due_date"], shown, "{sent}");
            let path = contract.task(&ada, id(&task));
            assert_eq!(ada.get(&path).expect(200).json(), task, "{sent}");

            // The service must accept the format that it returns.
            let again = ada.put(&path, json!({ "due_date": shown })).expect(200).json();
            assert_eq!(again["due_date"], shown);
        }
    }
}

#[rstest]
fn an_invalid_due_date_is_bad_input(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    let task = id(&ada.has_task("Buy milk"));
    for contract in CONTRACTS {
        for wrong in [
            "",
            " ",
            "tomorrow",
            "2026",
            "2026-03",
            "2026-3-1",
            "20260301",
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-03-00",
            "01.03.2026",
            "2026-03-01T10:00:00",
            "2026-03-01T10:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T25:00:00Z",
            "2026-03-01T10:60:00Z",
            "2026-03-01T10:00:61Z",
            "2026-03-01T10:00:00+0200",
            "2026-03-01T10:00:00+02",
            "2026-03-01T10:00:00+25:00",
            "2026-03-01T10:00:00.Z",
            "2026-03-01T10:00:00Z ",
            " 2026-03-01",
            "2026-03-01\n",
            "2026-03-01Z",
            "+2026-03-01",
            "10000-01-01",
            "-0001-01-01T00:00:00Z",
            "99999-01-01T00:00:00Z",
            "2026-03-01T10:00:00 Europe/Berlin",
            // A library may accept the next three, but RFC 3339 does not.
            "2026-03-01 10:00:00Z",
            "2026-03-01T10:00:00\u{2212}05:30",
            "2026-03-01T12:00:60Z",
            "0000-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "2026/03/01",
            "1772359200",
            "２０２６-03-01",
            "2026-03-01\u{0}",
        ] {
            let body = json!({ "title": "t", "due_date": wrong });
            let answer = ada.post(&contract.tasks(&ada), body);
            answer.assert_bad_fields(contract, &["due_date"]);
            let answer = ada.put(&contract.task(&ada, task), json!({ "due_date": wrong }));
            answer.assert_bad_fields(contract, &["due_date"]);
        }
        for wrong in [json!(1_772_359_200), json!(0), json!(true), json!([]), json!({})] {
            let body = json!({ "title": "t", "due_date": wrong });
            let answer = ada.post(&contract.tasks(&ada), body);
            answer.assert_bad_fields(contract, &["due_date"]);
        }
    }
}

/// RFC 3339 allows these values, but some have no representation in UTC with a four-digit year. The
/// service may store them and return a time, or refuse them, but must do nothing else.
#[rstest]
fn a_due_date_at_the_limit_is_stored_completely_or_refused(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        for edge in [
            "0000-01-01T00:00:00Z",
            "0000-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "9999-12-31T23:59:59.9999999Z",
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.5Z",
            "2017-01-01T01:59:60+02:00",
            "2026-03-01 10:00:00Z",
        ] {
            let body = json!({ "title": "t", "due_date": edge });
            let answer = ada.post(&contract.tasks(&ada), body);
            if answer.status != 201 {
                answer.assert_bad_fields(contract, &["due_date"]);
                continue;
            }
            let task: Value = answer.json();
            time(&task["due_date"]);
            let path = contract.task(&ada, id(&task));
            assert_eq!(ada.get(&path).expect(200).json(), task, "{edge}");
            ada.get(&format!("{}?sort=due_date", contract.tasks(&ada)))
                .expect(200);
            ada.delete(&path).expect(204);
        }
    }
}

#[rstest]
fn a_leap_second_is_accepted_as_due_date(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let body = json!({ "title": "t", "due_date": "2016-12-31T23:59:60Z" });
        let task = ada.post(&contract.tasks(&ada), body).expect(201).json();
        let due = time(&task["due_date"]);
        // Times without leap seconds cannot represent this instant, so a time next to it is acceptable.
        let beside = "2016-12-31T23:59:59Z".parse().unwrap()
            ..="2017-01-01T00:00:00.999999Z"
                .parse::<chrono::DateTime<chrono::Utc>>()
                .unwrap();
        assert!(beside.contains(&due), "{task}");
    }
}

#[rstest]
fn due_dates_sort_by_instant_and_not_by_text(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for (title, due_date) in [
        ("fifth", "9999-12-31T23:59:59.999999Z"),
        ("third", "2026-03-01T00:30:00.000001+01:00"),
        ("second", "2026-02-28T23:30:00Z"),
        ("fourth", "2026-03-01"),
        ("first", "0001-01-01"),
    ] {
        ada.creates(json!({ "title": title, "due_date": due_date }));
    }
    for contract in CONTRACTS {
        let titles = ada.titles(&format!("{}?sort=due_date", contract.tasks(&ada)));
        assert_eq!(titles, ["first", "second", "third", "fourth", "fifth"]);
    }
}
