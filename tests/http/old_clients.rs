//! Clients that speak HTTP/1.0.

use crate::support::raw::Connection;

on_both_databases!(
    fn a_long_list_is_not_sent_in_chunks_to_an_http_1_0_client(app: AppWithDatabase) {
        let ada = app.user("ada");
        ada.has_task("the first");
        app.execute(&format!(
            "INSERT INTO tasks (user_id, title) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 600) SELECT '{}', 'task' FROM n",
            ada.id
        ));
        let token = ada.token.clone().unwrap();
        let request = format!("GET /api/tasks HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
        let response = Connection::open(&app).send(request).read().expect("a response");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("transfer-encoding"), None, "{response}");
        assert_eq!(response.json().as_array().unwrap().len(), 601);
    }
);
