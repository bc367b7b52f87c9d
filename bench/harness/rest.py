"""Measures the startup time and the memory of the service, and the memory of idle connections."""

import resource
import socket
import statistics
import time
from pathlib import Path

from harness import machine
from harness.data import Data, seed_sqlite, sqlite_file
from harness.load import WORKS, Wrk
from harness.machine import Failure, report_progress
from harness.programs import service

STARTS = 10
CONNECTIONS = 10_000


def measure_idle_service(options, binary: Path, folder: Path) -> None:
    allow_files(CONNECTIONS + 200)
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with sqlite_file(folder) as file:
        url = seed_sqlite(file, data, binary, folder)
        report_progress(f"starting the service {STARTS} times")
        starts = []
        for _ in range(STARTS):
            with service(binary, url, data.secret, folder) as program:
                starts.append(program.ready_after)
        with service(binary, url, data.secret, folder) as program:
            time.sleep(2)
            rest = program.memory_mb()
            wrk = Wrk(data, range(options.active), folder)
            # Under load, the service allocates memory that it keeps. This memory is not counted for the connections.
            report_progress("generating load")
            for work in WORKS:
                wrk.measure(program, work, options.seconds)
            before = program.memory_mb()
            report_progress(f"opening {CONNECTIONS:,} connections")
            connections = Connections(program.port, data, options.active)
            time.sleep(1)
            held = program.memory_mb()
            # This checks that all connections are still open.
            connections.call_on_each()
            connections.close()
            time.sleep(2)
            closed = program.memory_mb()

    start = statistics.median(starts) * 1000
    cost = held["resident"] - before["resident"]
    print(f"\n{machine.described()}; an existing embedded database with {data.tasks:,} tasks\n")
    rows = [
        ("", "", "target"),
        ("---", "---:", "---:"),
        (f"from start to ready, median of {STARTS} (slowest {max(starts) * 1000:.0f} ms)", f"{start:.0f} ms", "< 50 ms"),
        (f"memory at rest ({rest['own']:.0f} MB of it not mapped from files)", f"{rest['resident']:.0f} MB", "< 25 MB"),
        ("memory after load", f"{before['resident']:.0f} MB", ""),
        (f"additional memory with {CONNECTIONS:,} idle keep-alive connections", f"{cost:.0f} MB", "≤ 100 MB"),
        ("memory after they are closed", f"{closed['resident']:.0f} MB", ""),
    ]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n", flush=True)
    machine.print_verdict([
        sentence for wrong, sentence in [
            (start >= 50, f"{start:.0f} ms to ready"),
            (rest["resident"] >= 25, f"{rest['resident']:.1f} MB at rest"),
            (cost > 100, f"{cost:.0f} MB for connections"),
        ] if wrong
    ])


def allow_files(number: int) -> None:
    """Raises the limit of open files for this process and for the service, which inherits the limit."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    if maximum != resource.RLIM_INFINITY and maximum < number:
        raise Failure(f"{number:,} open files are needed, but the limit is {maximum:,}: ulimit -Hn {number}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, maximum))


class Connections:
    """Open connections, on each of which one request has been sent."""

    def __init__(self, port: int, data: Data, active: int):
        self.requests = [
            f"GET /api/tasks/{data.task_id(user, 0)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {data.token(user)}\r\n\r\n".encode()
            for user in range(active)
        ]
        self.sockets = []
        for number in range(CONNECTIONS):
            # The request is sent immediately, because the service closes connections on which no request arrives.
            self.sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            self.call(number)

    def call(self, number: int) -> None:
        self.sockets[number].sendall(self.requests[number % len(self.requests)])
        response = self.sockets[number].recv(4096)
        if not response.startswith(b"HTTP/1.1 200"):
            raise Failure(f"the response on connection {number} is {response!r}")

    def call_on_each(self) -> None:
        for number in range(CONNECTIONS):
            self.call(number)

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()
