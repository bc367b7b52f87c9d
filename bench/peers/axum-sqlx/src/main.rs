//! The four requests of the benchmark, in idiomatic axum and sqlx: an extractor for the user, one query per handler,
//! and `TraceLayer` for the access log. This program has none of the service's other features: no rows for users, no
//! ETags, no sort keys, no pages, and no timeouts.

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::routing::{get, patch};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

const FRONTEND: &str = "http://localhost:3000";

#[derive(Clone)]
struct App {
    pool: PgPool,
    tokens: Arc<(DecodingKey, Validation)>,
}

#[derive(Serialize, sqlx::FromRow)]
struct Task {
    id: i64,
    user_id: String,
    title: String,
    description: Option<String>,
    completed: bool,
    due_date: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct NewTask {
    title: String,
    description: Option<String>,
    due_date: Option<DateTime<Utc>>,
    #[serde(default)]
    completed: bool,
}

/// The id of the authenticated user.
struct User(String);

impl FromRequestParts<App> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, StatusCode> {
        #[derive(Deserialize)]
        struct Claims {
            sub: String,
        }
        let (key, validation) = &*app.tokens;
        let header = parts.headers.get(header::AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        let token = jsonwebtoken::decode::<Claims>(token, key, validation);
        Ok(Self(token.map_err(|_| StatusCode::UNAUTHORIZED)?.claims.sub))
    }
}

fn failed(error: sqlx::Error) -> StatusCode {
    match error {
        sqlx::Error::RowNotFound => StatusCode::NOT_FOUND,
        error => {
            tracing::error!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn list(State(app): State<App>, User(user): User) -> Result<Json<Vec<Task>>, StatusCode> {
    sqlx::query_as(
        "SELECT id, user_id, title, description, completed, due_date, created_at, updated_at
         FROM tasks WHERE user_id = $1 ORDER BY created_at DESC, id DESC",
    )
    .bind(user)
    .fetch_all(&app.pool)
    .await
    .map(Json)
    .map_err(failed)
}

async fn create(
    State(app): State<App>,
    User(user): User,
    Json(new): Json<NewTask>,
) -> Result<(StatusCode, Json<Task>), StatusCode> {
    if new.title.trim().is_empty() || new.title.chars().count() > 200 {
        return Err(StatusCode::BAD_REQUEST);
    }
    sqlx::query_as(
        "INSERT INTO tasks (user_id, title, description, due_date, completed) VALUES ($1, $2, $3, $4, $5)
         RETURNING id, user_id, title, description, completed, due_date, created_at, updated_at",
    )
    .bind(user)
    .bind(new.title)
    .bind(new.description)
    .bind(new.due_date)
    .bind(new.completed)
    .fetch_one(&app.pool)
    .await
    .map(|task| (StatusCode::CREATED, Json(task)))
    .map_err(failed)
}

async fn read(
    State(app): State<App>,
    User(user): User,
    Path(id): Path<i64>,
) -> Result<Json<Task>, StatusCode> {
    sqlx::query_as(
        "SELECT id, user_id, title, description, completed, due_date, created_at, updated_at
         FROM tasks WHERE user_id = $1 AND id = $2",
    )
    .bind(user)
    .bind(id)
    .fetch_one(&app.pool)
    .await
    .map(Json)
    .map_err(failed)
}

async fn toggle(
    State(app): State<App>,
    User(user): User,
    Path(id): Path<i64>,
) -> Result<Json<Task>, StatusCode> {
    sqlx::query_as(
        "UPDATE tasks SET completed = NOT completed, updated_at = now() WHERE user_id = $1 AND id = $2
         RETURNING id, user_id, title, description, completed, due_date, created_at, updated_at",
    )
    .bind(user)
    .bind(id)
    .fetch_one(&app.pool)
    .await
    .map(Json)
    .map_err(failed)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let pool = PgPoolOptions::new()
        .max_connections(env::var("DATABASE_POOL_SIZE")?.parse()?)
        .connect(&env::var("DATABASE_URL")?)
        .await?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[FRONTEND]);
    validation.set_audience(&[FRONTEND]);
    let key = DecodingKey::from_secret(env::var("BETTER_AUTH_SECRET")?.as_bytes());
    let app = App {
        pool,
        tokens: Arc::new((key, validation)),
    };
    let log = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let routes = Router::new()
        .route("/api/tasks", get(list).post(create))
        .route("/api/tasks/{id}", get(read))
        .route("/api/tasks/{id}/complete", patch(toggle))
        .route("/readyz", get(|| async {}))
        .layer(log)
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", env::var("PORT")?.parse()?)).await?;
    Ok(axum::serve(listener, routes).await?)
}
