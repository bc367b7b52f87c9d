"""The four works, in turn by each program."""

import statistics
from contextlib import ExitStack
from pathlib import Path

from harness import machine
from harness.data import Data, seed_postgres
from harness.load import WORKS, PgbenchLimit, Result, Wrk
from harness.machine import say
from harness.postgres import Postgres
from harness.programs import Client, service


def on_postgres(options, binary: Path, folder: Path) -> None:
    data = Data(options.users, options.tasks)
    with ExitStack() as stack:
        server = stack.enter_context(Postgres(folder / "postgres", options.fast))
        seed_postgres(server, "todo", data, binary, folder)
        program = stack.enter_context(service(binary, server.url("todo"), data.secret, folder))
        limit = PgbenchLimit(server, program, data, options.active, folder)
        programs = [program]

        def tidy():
            server.sql(f"DELETE FROM tasks WHERE id > {data.tasks}; VACUUM tasks; CHECKPOINT;")

        results = rounds(options, data, limit, programs, tidy, folder)
        report(options, results, f"PostgreSQL: {server.described()}", limit.name)


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


def report(options, results: dict, database: str, limit: str) -> None:
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
            if name == "todo-backend":
                least, most_cpu = work.aims
                if ratio < least:
                    missed.append(f"{work.title}: {ratio:.2f} of the limit, not {least:.2f}")
                if result.cpu_us > most_cpu:
                    missed.append(f"{work.title}: {result.cpu_us:.0f} µs of processor time, not {most_cpu}")
    print("\nAims: " + ("; ".join(missed) if missed else "all met") + "\n", flush=True)
