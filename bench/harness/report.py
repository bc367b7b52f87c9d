"""The table of results, and the performance targets that were missed."""

from harness import machine
from harness.load import NOTHING, WORKS
from harness.programs import BARE, OTHER, SERVICE

# The targets on PostgreSQL, by place and number of clients: the minimum throughput, as a multiple of the limit.
MIN_RATIO_TO_LIMIT = {
    ("near", 32): {"get": 0.70, "list": 0.60, "create": 0.80, "toggle": 0.80},
    ("near", 128): {"get": 0.80},
    ("far", 32): {"get": 3, "list": 3, "create": 2, "toggle": 2},
    ("far", 256): {"get": 12},
}
# The minimum throughput as a multiple of a peer's throughput, for reading one task with 32 clients and a local
# database. With a remote database, no peer may be faster than the service.
MIN_RATIO_TO_PEER = {"axum + sqlx": 2.5, "Fastify + postgres.js": 4.5}
# The maximum CPU time for reading one task, as a multiple of the CPU time of a handler that does nothing.
MAX_CPU_RATIO = 3
# The maximum p99 for reading one task with 256 clients and a remote database, in round trips.
MAX_P99_ROUND_TRIPS = 5
# The target on SQLite: the minimum throughput, as a multiple of the other binary's throughput.
MIN_RATIO_TO_OTHER = 0.95


def report(options, results: dict, database: str, limit: str) -> None:
    print(f"\n{database}")
    print(f"{machine.described()}; medians of {options.rounds} rounds of {options.seconds} s\n")
    print("| work | database | clients | program | per second | of the limit | CPU per request | p50 | p99 |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for case, programs in results.items():
        maximum = programs[limit].per_second
        for name, result in programs.items():
            cells = [case.work.title, case.place, str(case.clients), name, f"{result.per_second:,.0f}"]
            cells += ["limit" if name == limit else f"{result.per_second / maximum:.2f}"]
            cells += [f"{result.cpu_us:.0f} µs" if result.cpu_us else "–"]
            cells += [f"{took / 1000:.1f} ms" if took else "–" for took in (result.p50_us, result.p99_us)]
            print(f"| {' | '.join(cells)} |")
    print()


def missed_on_postgres(results: dict, limit: str, round_trip_us) -> list:
    missed = []
    for case, programs in results.items():
        own = programs[SERVICE]
        least = {limit: MIN_RATIO_TO_LIMIT.get((case.place, case.clients), {}).get(case.work.name, 0)}
        for name in programs.keys() - {limit, SERVICE, OTHER, BARE, NOTHING.title}:
            least[name] = 1 if case.place == "far" else MIN_RATIO_TO_PEER.get(name, 0) if is_one_task(case, 32) else 0
        for name, aim in least.items():
            ratio = own.per_second / programs[name].per_second
            if ratio < aim:
                missed.append(f"{case.title}: {ratio:.2f} of {name}, not {aim:.2f}")
        if is_one_task(case, 32) and NOTHING.title in programs:
            ratio = own.cpu_us / programs[NOTHING.title].cpu_us
            if ratio > MAX_CPU_RATIO:
                missed.append(f"{case.title}: {ratio:.1f} times the CPU time of {NOTHING.title}, not {MAX_CPU_RATIO}")
        if case.place == "far" and is_one_task(case, 256) and own.p99_us > MAX_P99_ROUND_TRIPS * round_trip_us:
            missed.append(f"{case.title}: p99 is {own.p99_us / round_trip_us:.1f} round trips, not {MAX_P99_ROUND_TRIPS}")
    return missed


def is_one_task(case, clients: int) -> bool:
    return case.work == WORKS[0] and case.clients == clients


def missed_on_sqlite(results: dict) -> list:
    ratios = {case: programs[SERVICE].per_second / programs[OTHER].per_second for case, programs in results.items()}
    return [
        f"{case.title}: {ratio:.2f} of {OTHER}, not {MIN_RATIO_TO_OTHER:.2f}"
        for case, ratio in ratios.items() if ratio < MIN_RATIO_TO_OTHER
    ]
