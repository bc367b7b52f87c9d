//! The route table. The authentication guard protects all paths below `/api`, including those without a route.

use actix_web::guard::fn_guard;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, Scope};

use crate::http::auth_guard::guard;
use crate::http::contract::is_contract_a;
use crate::http::error::{ApiError, NO_SUCH_ROUTE};
use crate::http::{docs, health};
use crate::openapi;
use crate::tasks::handlers as tasks;

pub fn routes(config: &mut ServiceConfig) {
    let read_only = "GET, HEAD";

    // The first match wins. The routes with most of the requests come first.
    config
        .service(
            web::scope("/api")
                // Contract A: the tasks of the token's user. These routes come first, because `/{user_id}/tasks` also
                // matches `/tasks/tasks`.
                .service(task_routes("/tasks").guard(fn_guard(is_contract_a)))
                // Contract B: the tasks of the user whom the path names.
                .service(task_routes("/{user_id}/tasks"))
                .default_service(web::to(no_such_route))
                .wrap(from_fn(guard)),
        )
        .service(at("/", read_only).route(get().to(docs::redirect_to_docs)))
        .service(at("/livez", read_only).route(get().to(health::livez)))
        .service(at("/readyz", read_only).route(get().to(health::readyz)))
        .service(at("/openapi.json", read_only).route(get().to(openapi_document)))
        .service(at("/docs", read_only).route(get().to(docs::page)))
        .service(at("/docs/{file}", read_only).route(get().to(docs::file)))
        .default_service(web::to(no_such_route));
}

/// The routes of the tasks at this path, which both contracts have.
fn task_routes(path: &str) -> Scope {
    web::scope(path)
        .service(
            at("", "GET, HEAD, POST")
                .route(get().to(tasks::list))
                .route(web::post().to(tasks::create)),
        )
        .service(
            at("/{id}", "GET, HEAD, PUT, DELETE")
                .route(get().to(tasks::read))
                .route(web::put().to(tasks::update))
                .route(web::delete().to(tasks::delete)),
        )
        .service(at("/{id}/complete", "PATCH").route(web::patch().to(tasks::complete)))
}

/// Creates a resource that responds with 405 to every method for which no route is added.
fn at(path: &str, allow: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed { allow }) };
    web::resource(path.to_owned()).default_service(web::to(refuse))
}

/// Matches `GET` and `HEAD`. The server leaves out the body of a response to `HEAD`.
fn get() -> Route {
    web::route().guard(fn_guard(|context| {
        matches!(context.head().method, Method::GET | Method::HEAD)
    }))
}

async fn openapi_document(request: HttpRequest) -> HttpResponse {
    docs::document(&request, openapi::text())
}

async fn no_such_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound(&NO_SUCH_ROUTE))
}

/// The routes of the metrics listener.
pub fn metrics_routes(config: &mut ServiceConfig) {
    config
        .service(at("/metrics", "GET, HEAD").route(get().to(health::metrics)))
        .default_service(web::to(no_such_route));
}
