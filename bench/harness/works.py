"""Measures the four kinds of requests, with alternating rounds of all programs."""

import sqlite3
import statistics
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from harness import machine
from harness.data import Data, seed_postgres, seed_sqlite, sqlite_file
from harness.far import far, near
from harness.load import CLIENTS, NOTHING, WORKS, PgbenchLimit, Result, SqliteLimit, Work, Wrk
from harness.machine import report_progress, run
from harness.postgres import FAST, Postgres
from harness.programs import BARE, OTHER, PEERS, Client, service
from harness.report import MIN_RATIO_TO_LIMIT, missed_on_postgres, missed_on_sqlite, report


@dataclass(frozen=True)
class Case:
    """One measurement, for which the report has one line per program."""

    work: Work
    clients: int
    place: str = "near"

    @property
    def title(self) -> str:
        return f"{self.work.title}, {self.place}, {self.clients} clients"


def cases(options, place: str) -> list:
    """The requested measurements for one place, which is `near` or `far`."""
    found = []
    for work in WORKS:
        if options.work and work.name not in options.work:
            continue
        for clients in options.clients or [CLIENTS]:
            found.append(Case(work, clients, place))
        if options.aims:
            found += [Case(work, clients, where) for (where, clients), aims in MIN_RATIO_TO_LIMIT.items()
                      if where == place and work.name in aims]
    return list(dict.fromkeys(found))


def measure_on_postgres(options, binary: Path, folder: Path) -> None:
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with Postgres(folder / "postgres", FAST if options.fast else {}) as server:
        seed_postgres(server, "todo", data, binary, folder)
        databases = ["todo"]
        if options.against:
            # Each binary has a database of its own, in which it has created the tables itself.
            seed_postgres(server, "other", data, options.against, folder)
            databases.append("other")

        def remove_new_tasks():
            for database in databases:
                server.sql(f"DELETE FROM tasks WHERE id > {data.tasks}; VACUUM tasks; CHECKPOINT;", database)

        results, round_trip_us = {}, None
        places = {None: [near], "also": [near, far], "only": [far]}[options.far]
        for where in places:
            with where(server) as place, ExitStack() as stack:
                if place.name == "far":
                    round_trip_us = place.round_trip_us()
                programs = start_programs(options, binary, place.url, data, folder, stack)
                limit = PgbenchLimit(place, programs[0], data, options.active, folder)
                requested = cases(options, place.name)
                results.update(measure_rounds(options, requested, data, limit, programs, remove_new_tasks, folder))
        database = server.described()
        if round_trip_us:
            database += f"; far: SELECT 1 takes {round_trip_us / 1000:.2f} ms for one client"
        report(options, results, database, PgbenchLimit.name)
        machine.print_verdict(missed_on_postgres(results, PgbenchLimit.name, round_trip_us))


def start_programs(options, binary: Path, url, data: Data, folder: Path, stack: ExitStack) -> list:
    """Starts the service, the other binary and the peers, in this order."""
    programs = [stack.enter_context(service(binary, url("todo"), data.secret, folder))]
    if options.against:
        programs.append(stack.enter_context(service(options.against, url("other"), data.secret, folder, name=OTHER)))
    for peer in options.peer or []:
        programs.append(stack.enter_context(PEERS[peer](url("todo"), data.secret, folder)))
    return programs


def measure_on_sqlite(options, binary: Path, folder: Path) -> None:
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with ExitStack() as stack:
        file = stack.enter_context(sqlite_file(folder))
        url = seed_sqlite(file, data, binary, folder)
        files, programs = [file], [stack.enter_context(service(binary, url, data.secret, folder))]
        if options.against:
            other = stack.enter_context(sqlite_file(folder, "sqlite-other"))
            url = seed_sqlite(other, data, options.against, folder)
            files.append(other)
            programs.append(stack.enter_context(service(options.against, url, data.secret, folder, name=OTHER)))
        limit = SqliteLimit(file, data, options.active)

        def remove_new_tasks():
            for file in files:
                with closing(sqlite3.connect(file, timeout=10)) as database:
                    database.execute("DELETE FROM tasks WHERE id > ?", [data.tasks])
                    database.commit()
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        requested = cases(options, "near")
        results = measure_rounds(options, requested, data, limit, programs, remove_new_tasks, folder)
        database = f"SQLite {run(limit.program, 'version').strip()} (WAL, synchronous=FULL)"
        report(options, results, database, limit.name)
        if options.against:
            machine.print_verdict(missed_on_sqlite(results))


def measure_rounds(options, requested: list, data: Data, limit, programs: list, remove_new_tasks, folder: Path) -> dict:
    """Measures all cases, and returns the medians of the rounds as {case: {name: result}}."""
    wrk = Wrk(data, range(options.active), folder)
    results = {}
    for case in requested:
        for program in programs:
            case.work.call(Client(program.port), data, 1)
        remove_new_tasks()
        runs = {}
        for number in range(1, options.rounds + 1):
            for name, measure in measurements(case, wrk, limit, programs, options.seconds):
                if case.work.writes:
                    remove_new_tasks()
                result = measure()
                report_progress(f"{case.title}, round {number}: {name} {result.per_second:,.0f}/s")
                runs.setdefault(name, []).append(result)
        results[case] = {name: median(found) for name, found in runs.items()}
    return results


def measurements(case: Case, wrk: Wrk, limit, programs: list, seconds: int):
    """The name of each measured program, with a function that measures it for one round."""
    yield limit.name, lambda: limit.measure(case.work, seconds)
    for program in programs:
        yield program.name, lambda: wrk.measure(program, case.work, seconds, case.clients)
        if program.name == BARE and case == Case(WORKS[0], CLIENTS):
            yield NOTHING.title, lambda: wrk.measure(program, NOTHING, seconds, case.clients)


def median(results: list) -> Result:
    def of(field):
        values = [getattr(result, field) for result in results]
        return None if None in values else statistics.median(values)

    return Result(*map(of, ("per_second", "cpu_us", "p50_us", "p99_us")))
