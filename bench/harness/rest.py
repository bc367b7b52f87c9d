"""The cost of an idle service: startup time, memory and idle connections."""

import resource
import socket
import statistics
import time
from pathlib import Path

from harness import machine
from harness.data import Data, seed_sqlite, sqlite_file
from harness.load import WORKS, Wrk
from harness.machine import Failure, say
from harness.programs import service

STARTS = 10
CONNECTIONS = 10_000


def at_rest(options, binary: Path, folder: Path) -> None:
    allow_files(CONNECTIONS + 200)
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with sqlite_file(folder) as file:
        url = seed_sqlite(file, data, binary, folder)
        say(f"starting it {STARTS} times")
        starts = []
        for _ in range(STARTS):
            with service(binary, url, data.secret, folder) as program:
                starts.append(program.ready_after)
        with service(binary, url, data.secret, folder) as program:
            time.sleep(2)
            rest = program.memory_mb()
            wrk = Wrk(data, range(options.active), folder)
            say("load, so that what it keeps in memory anyhow is there")
            for work in WORKS:
                wrk.measure(program, work, options.seconds)
            before = program.memory_mb()
            say(f"opening {CONNECTIONS:,} connections")
            connections = Connections(program.port, data, options.active)
            time.sleep(1)
            held = program.memory_mb()
            # All connections are still open.
            connections.call_on_each()
            connections.close()
            time.sleep(2)
            closed = program.memory_mb()

    start = statistics.median(starts) * 1000
    cost = held["resident"] - before["resident"]
    print(f"\n{machine.described()}; an existing embedded database with {data.tasks:,} tasks\n")
    rows = [
        ("", "", "aim"),
        ("---", "---:", "---:"),
        (f"from start to ready, median of {STARTS} (slowest {max(starts) * 1000:.0f} ms)", f"{start:.0f} ms", "< 50 ms"),
        (f"memory at rest ({rest['own']:.0f} MB its own, the rest its file)", f"{rest['resident']:.0f} MB", "< 25 MB"),
        ("memory after load", f"{before['resident']:.0f} MB", ""),
        (f"{CONNECTIONS:,} idle keep-alive connections, on top of that", f"{cost:.0f} MB", "≤ 100 MB"),
        ("memory when they are closed", f"{closed['resident']:.0f} MB", ""),
    ]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n", flush=True)
    machine.verdict([
        sentence for wrong, sentence in [
            (start >= 50, f"{start:.0f} ms to ready"),
            (rest["resident"] >= 25, f"{rest['resident']:.1f} MB at rest"),
            (cost > 100, f"{cost:.0f} MB for connections"),
        ] if wrong
    ])


def allow_files(number: int) -> None:
    """Raises the limit of open files for this process and for the service, which inherits it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < number:
        raise Failure(f"{number:,} open files are needed, and {most:,} allowed: ulimit -Hn {number}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


class Connections:
    """Open connections, each of which has been used for one request."""

    def __init__(self, port: int, data: Data, active: int):
        self.requests = [
            f"GET /api/tasks/{data.task_id(user, 0)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {data.token(user)}\r\n\r\n".encode()
            for user in range(active)
        ]
        self.sockets = []
        for number in range(CONNECTIONS):
            # Immediately, because the service closes connections that send no first request.
            self.sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            self.call(number)

    def call(self, number: int) -> None:
        self.sockets[number].sendall(self.requests[number % len(self.requests)])
        answer = self.sockets[number].recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise Failure(f"connection {number} is answered with {answer!r}")

    def call_on_each(self) -> None:
        for number in range(CONNECTIONS):
            self.call(number)

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()
