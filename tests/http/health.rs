//! `/livez`, the liveness probe.

use rstest::rstest;

use crate::support::{Database, Postgres, Sqlite, TestApp};

#[rstest]
fn livez_needs_no_token(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    app.anonymous().get("/livez").expect(200);
    app.user("ada").get("/livez").expect(200);
    app.anonymous().with_token("garbage").get("/livez").expect(200);
    assert_eq!(app.anonymous().request("HEAD", "/livez", &[], b"").status, 200);
}
