//! `X-Request-Id`: the service keeps a well-formed id of the client and otherwise generates one.

use std::collections::BTreeSet;

on_both_databases!(
    fn a_well_formed_request_id_is_returned(app: TestApp) {
        let ada = app.user("ada");
        for id in [
            "a1",
            "4f2c6a52-5d8f-4d9b-9d0f-6a2f9f1f0c3e",
            "01JDKZ3T4N5P6Q7R8S9TABCDEF",
            "client_7.part-3",
        ] {
            let headers = [("x-request-id", id)];
            for (path, status) in [("/api/tasks", 200), ("/nowhere", 404), ("/livez", 200)] {
                let answer = ada.request("GET", path, &headers, b"").expect(status);
                assert_eq!(answer.request_id(), id);
            }
            let refused = app.anonymous().request("GET", "/api/tasks", &headers, b"");
            refused.assert_unauthorized();
            assert_eq!(refused.request_id(), id);
        }
    }

    fn a_malformed_request_id_is_replaced(app: TestApp) {
        let ada = app.user("ada");
        let long = "x".repeat(2_000);
        for id in [
            "",
            " ",
            "a b",
            "<script>",
            "\"quoted\"",
            "a\tb",
            "a;b\\c{}",
            &long,
        ] {
            let headers = [("x-request-id", id)];
            let answer = ada.request("GET", "/api/tasks", &headers, b"").expect(200);
            assert_ne!(answer.request_id(), id.trim());
            assert!(!answer.request_id().is_empty());
            assert!(answer.request_id().len() <= 200);
        }
        let twice = [("x-request-id", "one"), ("x-request-id", "two")];
        ada.request("GET", "/api/tasks", &twice, b"")
            .expect(200)
            .request_id();
    }

    fn every_answer_has_a_request_id_of_its_own(app: TestApp) {
        let ada = app.user("ada");
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            for path in ["/api/tasks", "/api/tasks/abc", "/nowhere", "/livez"] {
                let answer = ada.get(path);
                assert!(seen.insert(answer.request_id().to_owned()), "{answer}");
            }
        }
    }
);
