"""The load on the measured programs, and the limits with which they are compared."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.data import FIRST_USER, Data
from harness.far import Place
from harness.machine import ROOT, Failure, build, run
from harness.programs import CONNECTIONS, Client, Program

# The default number of clients.
CLIENTS = 32
# The duration of the load before each measurement.
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Work:
    """A kind of request."""

    name: str
    title: str
    writes: bool

    def call(self, client: Client, data: Data, user: int) -> None:
        """Sends one request and checks the response."""
        task = data.task_id(user, 0)
        new = {
            "title": "Buy oat milk for the weekend",
            "description": "The one in the blue carton.",
            # The due date is not null, because pgbench cannot send NULL as a parameter.
            "due_date": "2026-12-24T00:00:00Z",
        }
        path, method, body = {
            "get": (f"/api/tasks/{task}", "GET", None),
            "list": ("/api/tasks", "GET", None),
            "create": ("/api/tasks", "POST", new),
            "toggle": (f"/api/tasks/{task}/complete", "PATCH", None),
        }[self.name]
        response, _ = client.call(method, path, data.token(user), body)
        one = response[0] if self.name == "list" else response
        # `version` is not counted, because the tasks of version 0.1.0 and of the peers do not have it.
        is_expected = one["user_id"] == str(FIRST_USER + user) and len(one.keys() - {"version"}) == 8
        if self.name == "list":
            is_expected &= len(response) == data.each
        elif self.name != "create":
            is_expected &= one["id"] == task
        if not is_expected:
            raise Failure(f"the response to {method} {path} is unexpected: {response}")


WORKS = [
    Work("get", "one task by id", False),
    Work("list", "list of 20", False),
    Work("create", "create", True),
    Work("toggle", "toggle", True),
]
# A request for a route that only the program `bare` has.
NOTHING = Work("nothing", "a handler that does nothing", False)


@dataclass
class Result:
    per_second: float
    cpu_us: float = None
    p50_us: float = None
    p99_us: float = None


class Wrk:
    """Clients of wrk with keep-alive connections, which send requests for random tasks of these users."""

    def __init__(self, data: Data, users, folder: Path, name: str = "tokens"):
        self.data = data
        self.tokens = folder / name
        self.tokens.write_text("".join(data.token(user) + "\n" for user in users))

    def measure(self, program: Program, work: Work, seconds: int, clients: int = CLIENTS) -> Result:
        self._run_without_failures(program, work, WARM_UP_SECONDS, clients)
        before = program.cpu_seconds()
        result = self._run_without_failures(program, work, seconds, clients)
        cpu = program.cpu_seconds() - before
        return Result(
            per_second=result["requests"] / result["seconds"],
            cpu_us=cpu / result["requests"] * 1e6,
            p50_us=result["p50_us"],
            p99_us=result["p99_us"],
        )

    def _run_without_failures(self, program: Program, work: Work, seconds: int, clients: int) -> dict:
        result = self.run(program, work, seconds, clients)
        if result["failed"] or not result["requests"]:
            raise Failure(f"{program.name}, {work.title}: {result['errors'] or 'no request was answered'}")
        return result

    def run(self, program: Program, work: Work, seconds: int, clients: int) -> dict:
        """Runs wrk, and returns its results, which include the number of failed requests."""
        script = ROOT / "bench/wrk/tasks.lua"
        environment = {
            **os.environ, "WORK": work.name, "TOKENS": str(self.tokens),
            "USERS": str(self.data.users), "EACH": str(self.data.each),
        }
        threads = min(2, clients)
        command = ["wrk", f"-t{threads}", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
        printed = run(*command, "-s", script, f"http://127.0.0.1:{program.port}", env=environment)
        return json.loads(re.search(r"RESULT (.*)", printed)[1])


class PgbenchLimit:
    """pgbench with the same statements that the service executes, for random users and tasks."""

    name = "pgbench"

    def __init__(self, place: Place, program: Program, data: Data, active: int, folder: Path):
        self.place = place
        self.folder = folder
        self.scripts = {}
        client = Client(program.port)
        # This is the last user, because the ids of this user and of the user's first task are different from all other
        # parameters of the statements. After the first request the service knows the user, so that it executes a single
        # statement for each further request.
        user = data.users - 1
        WORKS[0].call(client, data, user)
        known = {str(FIRST_USER + user): ":user", str(data.task_id(user, 0)): ":task"}
        for work in WORKS:
            statement, values = place.server.statement_of(lambda: work.call(client, data, user))
            self.scripts[work.name] = self._script(work, statement, values, known, data, active)

    def _script(self, work: Work, statement: str, values: list, known: dict, data: Data, active: int) -> list:
        """Writes the script of a statement, and returns the options with which pgbench executes it."""
        names = [known.get(value, f":constant{place}") for place, value in enumerate(values)]
        expected = {":user", ":task"} if work.name in ("get", "toggle") else {":user"}
        if not expected <= set(names):
            raise Failure(f"{expected} are not all among the parameters of {statement}: {values}")
        statement = re.sub(r"\$(\d+)", lambda number: names[int(number[1]) - 1], statement)
        script = self.folder / f"{work.name}.sql"
        script.write_text(
            f"\\set number random(0, {active - 1})\n"
            f"\\set user {FIRST_USER} + :number\n"
            f"\\set task 1 + :number + {data.users} * random(0, {data.each - 1})\n"
            f"{statement};\n"
        )
        constants = [f"-D{name[1:]}={value}" for name, value in zip(names, values) if name not in known.values()]
        return ["-f", script, *constants]

    def measure(self, work: Work, seconds: int) -> Result:
        self._run(work, WARM_UP_SECONDS)
        return Result(per_second=self._run(work, seconds))

    def _run(self, work: Work, seconds: int) -> float:
        pgbench = self.place.server.bin / "pgbench"
        command = [pgbench, "-n", "-M", "prepared", f"-c{CONNECTIONS}", "-j2", f"-T{seconds}"]
        printed = run(*command, *self.scripts[work.name], self.place.url("todo"))
        if not re.search(r"number of failed transactions: 0 ", printed):
            raise Failure(f"pgbench has failed transactions:\n{printed}")
        return float(re.search(r"tps = ([\d.]+)", printed)[1])


class SqliteLimit:
    """The program `sqlite-limit`, which executes a statement in a loop, with one connection per core."""

    name = "SQLite alone"

    def __init__(self, file: Path, data: Data, active: int):
        self.program = build("sqlite-limit", "sqlite-limit")
        self.file = file
        self.data = [data.users, data.each, active]

    def measure(self, work: Work, seconds: int) -> Result:
        self._run(work, WARM_UP_SECONDS)
        return Result(per_second=self._run(work, seconds))

    def _run(self, work: Work, seconds: int) -> float:
        return float(run(self.program, self.file, work.name, seconds, *self.data))
