"""The programs that are measured: the service and its peers."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness import machine
from harness.machine import Failure

CONNECTIONS = 8
SERVICE, OTHER, BARE = "todo-backend", "the other todo-backend", "bare"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A running HTTP server.

    The program writes its log to a pipe, as under a container runtime or systemd. Only the end of the log is kept.
    """

    def __init__(self, name: str, command: list, environment: dict, folder: Path, ready: str):
        self.name = name
        self.port = int(environment["PORT"])
        self.log = folder / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.log"
        inherited = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        reading, writing = os.pipe()
        with self.log.open("wb") as log:
            self.reader = subprocess.Popen(
                ["tail", "-c", "4000"], stdin=reading, stdout=log, start_new_session=True
            )
        self.started = time.monotonic()
        # The working directory contains no file .env, which the service would read.
        self.process = subprocess.Popen(
            [str(part) for part in command], env={**inherited, **environment}, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, start_new_session=True,
        )
        os.close(reading)
        os.close(writing)
        self.ready = ready

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"{self.name} does not start:\n{self.log.read_text()}")
            time.sleep(0.0005)
        self.ready_after = time.monotonic() - self.started
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            # The signal goes to the whole process group, which includes the descendants of the process.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.wait()

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self.ready)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self.process.pid)

    def memory_mb(self) -> dict:
        return machine.memory_mb(self.process.pid)


def service(
    binary: Path, database_url: str, secret: str, folder: Path,
    connections: int = CONNECTIONS, name: str = SERVICE,
) -> Program:
    """The service with its access log enabled, in the JSON format."""
    environment = {
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": str(connections),
        "BETTER_AUTH_SECRET": secret,
        "PORT": str(free_port()),
        "LOG_FORMAT": "json",
        "RUST_LOG": "info",
    }
    return Program(name, [binary], environment, folder, "/readyz")


def peer_environment(database_url: str, secret: str) -> dict:
    return {
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": str(CONNECTIONS),
        "BETTER_AUTH_SECRET": secret,
        "PORT": str(free_port()),
        "WORKERS": str(os.cpu_count() or 1),
    }


def axum(database_url: str, secret: str, folder: Path) -> Program:
    environment = {**peer_environment(database_url, secret), "RUST_LOG": "info"}
    return Program("axum + sqlx", [machine.build("peers/axum-sqlx", "axum-sqlx")], environment, folder, "/readyz")


def fastapi(database_url: str, secret: str, folder: Path) -> Program:
    """FastAPI with one worker process per core, as its documentation recommends.

    The number of connections is divided among the workers.
    """
    source = machine.ROOT / "bench/peers/fastapi-sqlmodel"
    environment = peer_environment(database_url, secret)
    server = machine.python_with(source / "requirements.txt", folder / "venv").parent / "uvicorn"
    command = [server, "main:app", "--app-dir", source, "--port", environment["PORT"]]
    command += ["--workers", environment["WORKERS"]]
    return Program("FastAPI + SQLModel", command, environment, folder, "/readyz")


def fastify(database_url: str, secret: str, folder: Path) -> Program:
    """Fastify with one process per core.

    The number of connections is divided among the processes. postgres.js pipelines statements on each connection.
    """
    main = machine.node_with(machine.ROOT / "bench/peers/fastify", folder / "fastify")
    environment = {**peer_environment(database_url, secret), "NODE_ENV": "production"}
    return Program("Fastify + postgres.js", ["node", main], environment, folder, "/readyz")


def bare(database_url: str, secret: str, folder: Path) -> Program:
    """The reference program, which accesses the database as the service does, and has no other features."""
    environment = peer_environment(database_url, secret)
    # For experiments, this variable sets the number of pipelined writes per connection.
    if "WRITE_DEPTH" in os.environ:
        environment["WRITE_DEPTH"] = os.environ["WRITE_DEPTH"]
    return Program(BARE, [machine.build("peers/bare", "bare")], environment, folder, "/readyz")


PEERS = {"axum": axum, "fastify": fastify, "fastapi": fastapi, "bare": bare}


class Client:
    """One keep-alive connection, for requests that wrk does not send."""

    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method: str, path: str, token: str, body=None):
        """Sends a request, and returns the body and the headers of the response. An error response is a Failure."""
        headers = {"Authorization": f"Bearer {token}"}
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status not in (200, 201):
            raise Failure(f"the status of {method} {path} is {response.status}: {content.decode()}")
        return json.loads(content), response.headers
