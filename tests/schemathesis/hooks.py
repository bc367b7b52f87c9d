"""Adjusts generated requests where a schema cannot express what makes them valid; see schemathesis.toml."""

import itertools
import os
from urllib.parse import parse_qs, urlsplit

import requests
import schemathesis

COUNT = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    # A link may put a number, such as a task's id, into a header, and the HTTP client refuses to send
    # numbers.
    for name, value in headers.items():
        headers[name] = value if isinstance(value, (str, bytes)) else str(value)
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    count = next(COUNT)
    # A generated id leads to 404, and then nothing else of the request is tested. Three of four valid cases
    # therefore get the id of an existing task. In the stateful phase, links already provide existing ids.
    if "id" in (case.path_parameters or {}) and count % 4 and case.meta.phase.name.value != "stateful":
        case.path_parameters["id"] = some_task()
    # A generated tag leads to 412, so every second valid case gets the task's current one.
    if "If-Match" in headers and count % 2:
        headers["If-Match"] = get(case.formatted_path.removesuffix("/complete")).headers.get("ETag", "*")
    # Reusing a key with another payload leads to 422, so no valid case may repeat a key. The suffix preserves
    # the key's other characters, and its length where it is near the limit.
    if key := headers.get("Idempotency-Key"):
        unique = f"-{count}"
        headers["Idempotency-Key"] = key[: max(0, len(key) - len(unique))] + unique
    # A cursor that the service did not issue is invalid. A valid case gets one that the service issued for
    # the same list, or none if the list is too short.
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
