//! The liveness probe.

on_both_databases!(
    fn livez_needs_no_token(app: TestApp) {
        app.anonymous().get("/livez").expect(200);
        app.user("ada").get("/livez").expect(200);
        app.anonymous().with_token("garbage").get("/livez").expect(200);
        assert_eq!(app.anonymous().request("HEAD", "/livez", &[], b"").status, 200);
    }
);
