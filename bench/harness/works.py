"""The four works, in turn by each program."""

import sqlite3
import statistics
from contextlib import ExitStack, closing
from pathlib import Path

from harness import machine
from harness.data import Data, seed_postgres, seed_sqlite, sqlite_file
from harness.load import WORKS, PgbenchLimit, Result, SqliteLimit, Wrk
from harness.machine import run, say
from harness.postgres import FAST, Postgres
from harness.programs import PEERS, Client, service


def on_postgres(options, binary: Path, folder: Path) -> None:
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with ExitStack() as stack:
        server = stack.enter_context(Postgres(folder / "postgres", FAST if options.fast else {}))
        seed_postgres(server, "todo", data, binary, folder)
        url = server.url("todo")
        programs = [stack.enter_context(service(binary, url, data.secret, folder))]
        limit = PgbenchLimit(server, programs[0], data, options.active, folder)
        for peer in options.peer or []:
            programs.append(stack.enter_context(PEERS[peer](url, data.secret, folder)))

        def tidy():
            server.sql(f"DELETE FROM tasks WHERE id > {data.tasks}; VACUUM tasks; CHECKPOINT;")

        results = rounds(options, data, limit, programs, tidy, folder)
        report(options, results, server.described(), limit.name, judged=True)


def on_sqlite(options, binary: Path, folder: Path) -> None:
    data = Data(options.users or 10_000, options.tasks or 200_000)
    with sqlite_file(folder) as file:
        url = seed_sqlite(file, data, binary, folder)
        limit = SqliteLimit(file, data, options.active)

        def tidy():
            with closing(sqlite3.connect(file, timeout=10)) as database:
                database.execute("DELETE FROM tasks WHERE id > ?", [data.tasks])
                database.commit()
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        with service(binary, url, data.secret, folder) as program:
            results = rounds(options, data, limit, [program], tidy, folder)
        database = f"SQLite {run(limit.program, 'version').strip()} (WAL, synchronous=FULL)"
        report(options, results, database, limit.name, judged=False)


def rounds(options, data: Data, limit, programs: list, tidy, folder: Path) -> dict:
    """The medians: {work: {name: result}}."""
    wrk = Wrk(data, options.active, folder)
    results = {}
    for work in WORKS:
        if options.work and work.name not in options.work:
            continue
        runs = {}
        for program in programs:
            work.call(Client(program.port), data, 1)
        tidy()
        for number in range(1, options.rounds + 1):
            for contestant in [limit, *programs]:
                if work.writes:
                    tidy()
                if contestant is limit:
                    result = limit.measure(work, options.seconds)
                else:
                    result = wrk.measure(contestant, work, options.seconds)
                say(f"{work.title}, round {number}: {contestant.name} {result.per_second:,.0f}/s")
                runs.setdefault(contestant.name, []).append(result)
        results[work] = {name: median(found) for name, found in runs.items()}
    return results


def median(results: list) -> Result:
    def of(field):
        values = [getattr(result, field) for result in results]
        return None if None in values else statistics.median(values)

    return Result(*map(of, ("per_second", "cpu_us", "p50_us", "p99_us")))


def report(options, results: dict, database: str, limit: str, judged: bool) -> None:
    print(f"\n{database}")
    print(f"{machine.described()}; medians of {options.rounds} rounds of {options.seconds} s\n")
    print("| work | program | per second | of the limit | CPU a request | p50 | p99 |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    missed = []
    for work, programs in results.items():
        most = programs[limit].per_second
        for name, result in programs.items():
            ratio = result.per_second / most
            cells = [work.title, name, f"{result.per_second:,.0f}"]
            cells += ["limit" if name == limit else f"{ratio:.2f}"]
            cells += [f"{result.cpu_us:.0f} µs" if result.cpu_us else "–"]
            cells += [f"{took / 1000:.1f} ms" if took else "–" for took in (result.p50_us, result.p99_us)]
            print(f"| {' | '.join(cells)} |")
            if judged and name == "todo-backend":
                least, most_cpu = work.aims
                if ratio < least:
                    missed.append(f"{work.title}: {ratio:.2f} of the limit, not {least:.2f}")
                if result.cpu_us > most_cpu:
                    missed.append(f"{work.title}: {result.cpu_us:.0f} µs of processor time, not {most_cpu}")
    print()
    if judged:
        machine.verdict(missed)
