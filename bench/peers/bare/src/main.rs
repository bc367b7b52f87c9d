//! A yardstick, and no peer: the way that the service goes to its database (a channel to as many threads as
//! there are connections), and nothing else. No token is looked at, nothing is logged or counted, one
//! route is there. What the service needs beyond this is the price of all that it does.

use std::env;
use std::thread;

use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::{DateTime, Utc};
use crossbeam_channel::{Sender, bounded};
// Both are only linked: libpq and its TLS, built as the service has them.
use diesel::prelude::*;
use openssl_sys as _;
use pq_sys as _;
use serde::Serialize;
use tokio::sync::oneshot;

diesel::table! {
    tasks (id) {
        id -> BigInt,
        user_id -> Text,
        title -> Text,
        description -> Nullable<Text>,
        completed -> Bool,
        due_date -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

#[derive(Queryable, Serialize)]
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

type Job = Box<dyn FnOnce(&mut PgConnection) + Send>;

async fn read(jobs: web::Data<Sender<Job>>, id: web::Path<i64>) -> HttpResponse {
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |conn| {
        let _ = reply.send(tasks::table.find(*id).first::<Task>(conn));
    });
    if jobs.try_send(job).is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    match answer.await {
        Ok(Ok(task)) => HttpResponse::Ok().json(task),
        Ok(Err(diesel::result::Error::NotFound)) => HttpResponse::NotFound().finish(),
        _ => HttpResponse::InternalServerError().finish(),
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let url = variable("DATABASE_URL");
    let connections = variable("DATABASE_POOL_SIZE").parse().expect("a number");
    let port = variable("PORT").parse().expect("a number");
    let (jobs, waiting) = bounded::<Job>(1024);
    for _ in 0..connections {
        let waiting = waiting.clone();
        let mut conn = PgConnection::establish(&url).expect("a connection");
        thread::spawn(move || waiting.into_iter().for_each(|job| job(&mut conn)));
    }
    let jobs = web::Data::new(jobs);
    HttpServer::new(move || {
        App::new()
            .app_data(jobs.clone())
            .route("/api/tasks/{id}", web::get().to(read))
            .route("/readyz", web::get().to(HttpResponse::Ok))
    })
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
