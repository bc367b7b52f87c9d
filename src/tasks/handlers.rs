//! The handlers of both contracts. Each one extracts its input, calls the store and responds.

#![deny(clippy::too_many_lines)]

use std::convert::Infallible;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::long_list;
use super::query::link_to;
use super::request::{Completion, CreateRequest, NO_SUCH_TASK, TaskIdInPath};
use super::response::{json_list, json_of, list_tag};
use crate::domain::{ListQuery, Task, TaskChanges};
use crate::http::error::ApiError;
use crate::http::etag::{FIRST_VERSION, is_not_modified, tag};
use crate::http::json_body::JsonBody;
use crate::store::{Condition, OwnedTasks, Written};

/// The header with which only the client's own cache may store a response, and must revalidate it before each use.
const REVALIDATE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));

type Response = Result<HttpResponse, ApiError>;

pub async fn list(tasks: OwnedTasks, query: ListQuery, request: HttpRequest) -> Response {
    let Some(page) = tasks.list(query.clone()).await? else {
        return long_list(tasks, query, request).await;
    };
    let link = page
        .next
        .map(|next| link_to(&next, &query, &request))
        .transpose()?;
    let mut response = short_list(&tasks, &page.tasks, link.is_some(), &request)?;
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

fn short_list(tasks: &OwnedTasks, list: &[Task], has_next_page: bool, request: &HttpRequest) -> Response {
    let tag = list_tag(list, has_next_page);
    Ok(match is_not_modified(request.headers(), &tag) {
        true => not_modified(tag),
        false => json(HttpResponse::Ok(), tag).body(json_list(tasks.owner(), list)?),
    })
}

async fn long_list(tasks: OwnedTasks, query: ListQuery, request: HttpRequest) -> Response {
    let (tag, list) = long_list::begin(tasks, query).await?;
    Ok(match is_not_modified(request.headers(), &tag) {
        true => not_modified(tag),
        // As for `GET`, the response must have no `Content-Length`. For an empty body that is not a stream, actix would
        // send `Content-Length: 0`.
        false if request.method() == Method::HEAD => {
            json(HttpResponse::Ok(), tag).streaming(stream::empty::<Result<_, Infallible>>())
        }
        false => json(HttpResponse::Ok(), tag).streaming(list),
    })
}

pub async fn create(tasks: OwnedTasks, new: CreateRequest, request: HttpRequest) -> Response {
    let created = match new.key {
        None => {
            let task = tasks.create(new.task).await?;
            Some((task.id, json_of(tasks.owner(), &task)))
        }
        Some(key) => tasks.create_once(new.task, key, json_of).await?,
    };
    let (id, body) = created.ok_or(ApiError::IdempotencyKeyReused)?;
    let location = format!("{}/{id}", request.uri().path());
    Ok(json(HttpResponse::Created(), tag(FIRST_VERSION))
        .insert_header((LOCATION, location))
        .body(body))
}

pub async fn read(tasks: OwnedTasks, id: TaskIdInPath, request: HttpRequest) -> Response {
    let task = tasks
        .get(id.get()?)
        .await?
        .ok_or(ApiError::NotFound(&NO_SUCH_TASK))?;
    let tag = tag(task.version);
    if is_not_modified(request.headers(), &tag) {
        return Ok(not_modified(tag));
    }
    Ok(item(&tasks, &task))
}

pub async fn update(
    tasks: OwnedTasks,
    id: TaskIdInPath,
    condition: Condition,
    body: JsonBody<TaskChanges>,
) -> Response {
    let written = tasks.update(id.get()?, body.0, condition).await?;
    Ok(item(&tasks, &check_written(written)?))
}

pub async fn complete(
    tasks: OwnedTasks,
    id: TaskIdInPath,
    condition: Condition,
    body: JsonBody<Completion>,
) -> Response {
    let Completion(completed) = body.0;
    let written = tasks.complete(id.get()?, completed, condition).await?;
    Ok(item(&tasks, &check_written(written)?))
}

pub async fn delete(tasks: OwnedTasks, id: TaskIdInPath, condition: Condition) -> Response {
    check_written(tasks.delete(id.get()?, condition).await?)?;
    Ok(HttpResponse::NoContent().finish())
}

fn check_written<T>(written: Written<T>) -> Result<T, ApiError> {
    match written {
        Written::Done(value) => Ok(value),
        Written::Outdated => Err(ApiError::PreconditionFailed),
        Written::Missing => Err(ApiError::NotFound(&NO_SUCH_TASK)),
    }
}

fn item(tasks: &OwnedTasks, task: &Task) -> HttpResponse {
    json(HttpResponse::Ok(), tag(task.version)).body(json_of(tasks.owner(), task))
}

fn json(mut builder: actix_web::HttpResponseBuilder, tag: String) -> actix_web::HttpResponseBuilder {
    builder
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ETAG, tag))
        .insert_header(REVALIDATE);
    builder
}

fn not_modified(tag: String) -> HttpResponse {
    HttpResponse::NotModified()
        .insert_header((ETAG, tag))
        .insert_header(REVALIDATE)
        .finish()
}
