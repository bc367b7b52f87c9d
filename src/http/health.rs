//! The probes and the metrics endpoint.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::app_data;
use super::error::ApiError;
use crate::store::{Database, Store};
use crate::telemetry::METRICS;

/// The liveness probe. It does not check the database, because restarting the service would not repair the database.
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

pub async fn readyz(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    app_data::<Rc<Store>>(&request)?.database.ready().await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"})))
}

pub async fn metrics(database: web::Data<Database>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(METRICS.render(&database.pool_state()))
}
