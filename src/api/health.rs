//! Whether the process lives, and whether it can serve.

use actix_web::{HttpResponse, web};

use super::problem::ApiError;
use crate::store::Database;

/// Never asks the database: restarting the process would not bring that back.
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

pub async fn readyz(database: web::Data<Database>) -> Result<HttpResponse, ApiError> {
    database.ready().await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"})))
}
