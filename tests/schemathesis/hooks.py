"""Makes those requests right that no schema can: see schemathesis.toml."""

import itertools
import os
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis

COUNT = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    # A link may put a number (a task's id, say) into a header, which the HTTP client refuses to send.
    for name, value in headers.items():
        headers[name] = value if isinstance(value, (str, bytes)) else str(value)
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    count = next(COUNT)
    # An id that was made up is rightly 404, and then nothing else of the request is tried: three of four
    # valid cases get one of a task that is there. Not where links bring ids, which are real ones.
    if "id" in (case.path_parameters or {}) and count % 4 and case.meta.phase.name.value != "stateful":
        case.path_parameters["id"] = some_task()
    # A tag that was made up is rightly 412: every second valid case gets the one that the task has now.
    if "If-Match" in headers and count % 2:
        headers["If-Match"] = get(case.formatted_path.removesuffix("/complete")).headers.get("ETag", "*")
    # A key that came before with another payload is rightly 422, so no valid case may repeat one. It
    # keeps its characters, and its length where that is near the limit.
    if key := headers.get("Idempotency-Key"):
        unique = f"-{count}"
        headers["Idempotency-Key"] = key[: max(0, len(key) - len(unique))] + unique
    # A cursor that the service did not make is rightly bad input: a valid case gets one that it made for
    # the same list, or none if that list is too short.
    if "cursor" in (case.query or {}):
        case.query.setdefault("limit", 1)
        del case.query["cursor"]
        same = {name: case.query[name] for name in ("status", "sort") if name in case.query}
        link = get(case.formatted_path, **same, limit=1).links.get("next")
        if link:
            case.query["cursor"] = parse_qs(urlsplit(link["url"]).query)["cursor"][0]


def some_task():
    tasks = get("/api/tasks", limit=1).json()
    return (tasks[0] if tasks else call("POST", "/api/tasks", json={"title": "Buy milk"}).json())["id"]


def get(path, **query):
    return call("GET", path, params=query)


def call(method, path, **rest):
    token = {"Authorization": "Bearer " + os.environ["TODO_TOKEN"]}
    return requests.request(method, os.environ["TODO_URL"] + path, headers=token, timeout=10, **rest)
