//! A reference program, which is not a comparable service. It accesses PostgreSQL as the service does, with
//! `diesel-async` and pipelining on the HTTP workers, but it verifies no tokens and has neither a log nor metrics. The
//! difference between its results and those of the service is the cost of everything else that the service does. The
//! handler of `/nothing` does nothing, which shows the cost of HTTP alone.

mod database;

use std::env;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use diesel::result::Error;
use serde::{Deserialize, Serialize};

use database::{Database, NewTask};

/// The user whom the token names. The token's signature is not verified.
fn caller(request: &HttpRequest) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let token = request.headers().get("authorization")?.to_str().ok()?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.sub)
}

fn answer(result: Result<impl Serialize, Error>) -> HttpResponse {
    match result {
        Ok(body) => HttpResponse::Ok().json(body),
        Err(Error::NotFound) => HttpResponse::NotFound().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn read(database: web::Data<Database>, id: web::Path<i64>) -> HttpResponse {
    answer(database.task(*id).await)
}

async fn list(database: web::Data<Database>, request: HttpRequest) -> HttpResponse {
    match caller(&request) {
        Some(user) => answer(database.tasks_of(&user).await),
        None => HttpResponse::Unauthorized().finish(),
    }
}

async fn create(
    database: web::Data<Database>,
    request: HttpRequest,
    new: web::Json<NewTask>,
) -> HttpResponse {
    match caller(&request) {
        Some(user) => answer(database.create(&user, &new).await),
        None => HttpResponse::Unauthorized().finish(),
    }
}

async fn toggle(database: web::Data<Database>, id: web::Path<i64>) -> HttpResponse {
    answer(database.toggle(*id).await)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|value| value.parse::<usize>().expect("a number"))
    };
    let url = env::var("DATABASE_URL").expect("DATABASE_URL");
    let port = env::var("PORT").expect("PORT").parse().expect("a number");
    let workers = number("WORKERS").expect("WORKERS");
    // One of the worker's connections is for reads, so the others are for writes.
    let writers = number("DATABASE_POOL_SIZE").expect("DATABASE_POOL_SIZE") / workers - 1;
    let depth = number("WRITE_DEPTH").unwrap_or(4);
    HttpServer::new(move || {
        let url = url.clone();
        App::new()
            .data_factory(move || {
                let url = url.clone();
                async move { Database::connect(&url, writers, depth).await }
            })
            .route("/nothing", web::get().to(HttpResponse::Ok))
            .route("/readyz", web::get().to(HttpResponse::Ok))
            .route("/api/tasks", web::get().to(list))
            .route("/api/tasks", web::post().to(create))
            .route("/api/tasks/{id}", web::get().to(read))
            .route("/api/tasks/{id}/complete", web::patch().to(toggle))
    })
    .workers(workers)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
