"""The machine: its hardware, missing packages, and the resources that a process uses."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Ends the run with a message."""


def say(text: str) -> None:
    """Prints progress to stderr. Only results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def need(packages: dict) -> None:
    """Installs missing Debian packages. `packages` maps each to a function that says whether it is installed."""
    missing = [package for package, there in packages.items() if not there()]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"missing (by their Debian names): sudo {' '.join(install)}")
    say(f"installing {', '.join(missing)}")
    # Debian's package would create and start a server; the benchmark starts its own.
    setting = Path("/etc/postgresql-common/createcluster.conf")
    if not setting.exists():
        setting.parent.mkdir(exist_ok=True)
        setting.write_text("create_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ["-o", "Dpkg::Options::=--force-confold"]
    run("apt-get", "update", "-qq", env=environment)
    run(*install, *keep, env=environment)


def run(*command, **options) -> str:
    """The output of a command. If it fails, raises Failure with its error output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{command[0]} ended with {done.returncode}:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def target(default: str) -> Path:
    """The target directory of cargo."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / default).resolve()


def release_binary(given) -> Path:
    binary = Path(given) if given else target("target") / "release/todo-backend"
    if not binary.is_file():
        raise Failure(f"{binary} is not there: cargo build --release, or --binary PATH")
    sources = [*ROOT.glob("src/**/*.rs"), ROOT / "Cargo.lock"]
    if max(source.stat().st_mtime for source in sources) > binary.stat().st_mtime:
        say(f"note: {binary} is older than the sources")
    return binary.resolve()


def look_around() -> None:
    """Warns if the machine is busy: load, database and service together already use two cores."""
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"note: the machine has other work (load {load:.1f}); what is measured now is worth little")


def build(folder: str, name: str) -> Path:
    """Builds a Rust program of the benchmark in release mode."""
    source = ROOT / "bench" / folder
    say(f"building {folder}")
    to = target("target/bench/cargo")
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    run(*command, cwd=source, env={**os.environ, "CARGO_TARGET_DIR": str(to)})
    return to / "release" / name


def python_with(requirements: Path, folder: Path) -> Path:
    """A Python interpreter with these packages, in a virtual environment."""
    python = folder / "bin/python"
    kept = folder / "requirements.txt"
    if not kept.exists() or kept.read_text() != requirements.read_text():
        say(f"installing what {requirements.relative_to(ROOT)} names")
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "--quiet", "-r", requirements)
        shutil.copy(requirements, kept)
    return python


def node_with(source: Path, folder: Path) -> Path:
    """A copy of a Node program, with the packages of its package.json installed next to it."""
    wanted = (source / "package.json").read_text()
    kept = folder / "package.json"
    if not kept.exists() or kept.read_text() != wanted or not (folder / "node_modules").exists():
        say(f"installing what {source.relative_to(ROOT)}/package.json names")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "package.json", kept)
        run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev", cwd=folder)
    return Path(shutil.copy(source / "main.js", folder))


def described() -> str:
    fields = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in fields if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, Linux {platform.release()}"


def processes_of(pid: int) -> list:
    """A process and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(stat_fields(int(entry))[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def stat_fields(pid: int) -> list:
    """/proc/PID/stat from the third field on. The second is the process name, which may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, in steps of 10 ms."""
    return sum(sum(map(int, stat_fields(member)[11:13])) for member in processes_of(pid)) / TICKS


def memory_mb(pid: int) -> dict:
    """Resident memory, and the part of it that is not a mapped file."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}
    return {"resident": sizes["VmRSS"], "own": sizes["RssAnon"]}


def verdict(missed: list) -> None:
    print("Aims: " + ("; ".join(missed) if missed else "all met") + "\n", flush=True)
