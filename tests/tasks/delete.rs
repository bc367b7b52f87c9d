//! `DELETE` of one task.

use rstest::rstest;
use serde_json::json;

use crate::support::task::id;
use crate::support::{CONTRACTS, Database, Postgres, Sqlite, TestApp};

#[rstest]
fn a_deleted_task_is_gone_and_only_that_one(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let kept = ada.has_task("kept");
        let path = contract.task(&ada, id(&ada.has_task("deleted")));

        let answer = ada.delete(&path).expect(204);
        assert_eq!(answer.body, b"");
        assert_eq!(answer.header("content-type"), None);

        ada.get(&path).assert_problem(404);
        ada.put(&path, json!({ "title": "again" })).assert_problem(404);
        ada.patch(&format!("{path}/complete")).assert_problem(404);
        ada.delete(&path).assert_problem(404);
        assert_eq!(ada.get(&contract.tasks(&ada)).expect(200).json(), json!([kept]));
        ada.delete(&contract.task(&ada, id(&kept))).expect(204);
    }
}

#[rstest]
fn exactly_one_of_several_concurrent_deletions_succeeds(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let ada = app.user("ada");
    for contract in CONTRACTS {
        let path = contract.task(&ada, id(&ada.has_task("contended")));
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| ada.delete(&path).status)).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404, 404, 404, 404, 404, 404, 404]);
    }
}
