//! `/docs`: the documentation page, which loads nothing from other servers. `/` redirects to it.

use rstest::rstest;

use crate::support::{Database, Postgres, Response, Sqlite, TestApp};

/// Checks that the content security policy names no other server, and that browsers must not guess the type
/// of the file.
fn assert_policy(answer: &Response) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{answer}");
    for source in policy.split([' ', ';']) {
        assert!(!source.contains("http") && !source.contains('*'), "{answer}");
    }
    assert!(!policy.contains("script-src 'self' 'unsafe"), "{answer}");
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{answer}"
    );
}

#[rstest]
fn the_page_and_all_that_it_loads_come_from_the_service(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    let nobody = app.anonymous();
    let page = nobody.get("/docs").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_policy(&page);
    let text = page.text();
    let loaded: Vec<&str> = text
        .split(" src=\"")
        .chain(text.split("stylesheet\" href=\""))
        .filter_map(|rest| rest.split_once('"').map(|(link, _)| link))
        .filter(|link| link.starts_with("docs/"))
        .collect();
    assert_eq!(loaded.len(), 3, "{text}");
    assert!(!text.contains("//"), "{text}");
    for link in loaded {
        let file = nobody.get(&format!("/{link}")).expect(200);
        assert_policy(&file);
        assert!(file.body.len() > 100, "{file}");
        let head = nobody.request("HEAD", &format!("/{link}"), &[], b"").expect(200);
        for name in ["content-type", "content-length", "content-encoding", "etag"] {
            assert_eq!(head.header(name), file.header(name), "{link}: {name}");
        }
        let again = [("if-none-match", file.header("etag").unwrap())];
        nobody
            .request("GET", &format!("/{link}"), &again, b"")
            .expect(304);
    }
    nobody.request("HEAD", "/docs", &[], b"").expect(200);
}

#[rstest]
fn the_root_redirects_to_the_documentation(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for method in ["GET", "HEAD"] {
        let answer = app.anonymous().request(method, "/", &[], b"").expect(303);
        assert_eq!(answer.header("location"), Some("/docs"));
        assert!(answer.header("x-request-id").is_some(), "{answer}");
    }
    let answer = app.anonymous().request("POST", "/", &[], b"");
    answer.assert_problem(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}

#[rstest]
fn other_paths_below_docs_are_404(#[values(Sqlite, Postgres)] db: Database) {
    let app = TestApp::start(db);
    for path in [
        "/docs/",
        "/docs/index.html",
        "/docs/..%2fopenapi.json",
        "/docs/a/b",
        "/docs/%00",
    ] {
        app.anonymous().get(path).assert_problem(404);
    }
    app.anonymous()
        .request("POST", "/docs", &[], b"")
        .assert_problem(405);
}
