//! Whether the process lives, whether it can serve, and what it has counted.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::error::ApiError;
use crate::store::{Database, Store};
use crate::telemetry::METRICS;

/// Never asks the database: restarting the process would not bring that back.
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

pub async fn readyz(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let store = request
        .app_data::<Rc<Store>>()
        .ok_or_else(|| ApiError::Internal("no store was given to the application".into()))?;
    store.database.ready().await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"})))
}

pub async fn metrics(database: web::Data<Database>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(METRICS.render(&database.pool_state()))
}
