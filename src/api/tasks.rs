//! The handlers: take what was parsed, call the store, answer. The same for both contracts.

use actix_web::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse};

use super::body::{Body, Completion};
use super::conditional::{tag_of, unchanged};
use super::contract::{NO_SUCH_TASK, TaskIdInPath};
use super::problem::ApiError;
use super::view::{JsonList, json_of};
use crate::domain::{Listing, NewTask, Task, TaskChanges};
use crate::store::{Condition, OwnedTasks, Written};

type Answer = Result<HttpResponse, ApiError>;

pub async fn list(tasks: OwnedTasks, listing: Listing, request: HttpRequest) -> Answer {
    let list = tasks.list::<JsonList>(listing).await?.sink.finish();
    if unchanged(request.headers(), &list.tag) {
        return Ok(not_modified(list.tag));
    }
    Ok(json(HttpResponse::Ok(), list.tag).body(list.body))
}

pub async fn create(tasks: OwnedTasks, body: Body<NewTask>, request: HttpRequest) -> Answer {
    let task = tasks.create(body.0).await?;
    let location = format!("{}/{}", request.path(), task.id);
    Ok(json(HttpResponse::Created(), tag_of(&task))
        .insert_header((LOCATION, location))
        .body(json_of(tasks.owner(), &task)))
}

pub async fn read(tasks: OwnedTasks, id: TaskIdInPath, request: HttpRequest) -> Answer {
    let task = tasks.get(id.get()?).await?.ok_or(NO_SUCH_TASK)?;
    if unchanged(request.headers(), &tag_of(&task)) {
        return Ok(not_modified(tag_of(&task)));
    }
    Ok(item(&tasks, &task))
}

pub async fn update(
    tasks: OwnedTasks,
    id: TaskIdInPath,
    condition: Condition,
    body: Body<TaskChanges>,
) -> Answer {
    let written = tasks.update(id.get()?, body.0, condition).await?;
    Ok(item(&tasks, &done(written)?))
}

pub async fn complete(
    tasks: OwnedTasks,
    id: TaskIdInPath,
    condition: Condition,
    body: Body<Completion>,
) -> Answer {
    let Completion(completed) = body.0;
    let written = tasks.complete(id.get()?, completed, condition).await?;
    Ok(item(&tasks, &done(written)?))
}

pub async fn delete(tasks: OwnedTasks, id: TaskIdInPath, condition: Condition) -> Answer {
    done(tasks.delete(id.get()?, condition).await?)?;
    Ok(HttpResponse::NoContent().finish())
}

fn done<T>(written: Written<T>) -> Result<T, ApiError> {
    match written {
        Written::Done(value) => Ok(value),
        Written::Outdated => Err(ApiError::Outdated),
        Written::Missing => Err(NO_SUCH_TASK),
    }
}

fn item(tasks: &OwnedTasks, task: &Task) -> HttpResponse {
    json(HttpResponse::Ok(), tag_of(task)).body(json_of(tasks.owner(), task))
}

fn json(mut builder: actix_web::HttpResponseBuilder, tag: String) -> actix_web::HttpResponseBuilder {
    builder
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ETAG, tag));
    builder
}

fn not_modified(tag: String) -> HttpResponse {
    HttpResponse::NotModified().insert_header((ETAG, tag)).finish()
}
