"""The connection to the database: directly on this machine, or through a proxy that delays every packet."""

import re
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

from harness.machine import Failure, build, run
from harness.postgres import Postgres
from harness.programs import free_port

# The delay of each packet in each direction.
DELAY_US = 1_000


@dataclass
class Place:
    """The port at which all measured programs connect to PostgreSQL: the server's (`near`) or the proxy's (`far`)."""

    name: str
    server: Postgres
    port: int

    def url(self, database: str) -> str:
        return self.server.url(database, self.port)

    def round_trip_us(self) -> float:
        """The mean duration of the statement `SELECT 1` for a single client."""
        script = self.server.folder / "nothing.sql"
        script.write_text("SELECT 1;\n")
        pgbench = [self.server.bin / "pgbench", "-n", "-M", "prepared", "-c1", "-T2", "-f", script]
        return 1e6 / float(re.search(r"tps = ([\d.]+)", run(*pgbench, self.url("todo")))[1])


@contextmanager
def near(server: Postgres):
    yield Place("near", server, server.port)


@contextmanager
def far(server: Postgres):
    port = free_port()
    command = [build("delay-proxy", "delay-proxy"), str(port), str(server.port), str(DELAY_US)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(port, process)
        yield Place("far", server, port)
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise Failure("the proxy does not start")
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
    raise Failure("the proxy does not listen")
