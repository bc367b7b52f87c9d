"""The machine: its hardware, the installation of packages, builds, and the resources that processes use."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """An error that ends the benchmark with a message."""


def report_progress(text: str) -> None:
    """Prints progress to stderr. Only results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def install_missing(packages: dict) -> None:
    """Installs missing Debian packages. `packages` maps each package to a function that checks if it is installed."""
    missing = [package for package, is_installed in packages.items() if not is_installed()]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"packages are missing; on Debian: sudo {' '.join(install)}")
    report_progress(f"installing {', '.join(missing)}")
    # Without this setting, Debian's package would create and start a server. The benchmark starts its own.
    setting = Path("/etc/postgresql-common/createcluster.conf")
    if not setting.exists():
        setting.parent.mkdir(exist_ok=True)
        setting.write_text("create_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ["-o", "Dpkg::Options::=--force-confold"]
    run("apt-get", "update", "-qq", env=environment)
    run(*install, *keep, env=environment)


def run(*command, **options) -> str:
    """Runs a command and returns its output. If it fails, the Failure contains its error output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{command[0]} exited with {done.returncode}:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def target(default: str) -> Path:
    """The target directory of cargo, which is `default` unless CARGO_TARGET_DIR is set."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / default).resolve()


def service_binary(given) -> Path:
    """Returns the given binary. Without one, builds the service with the profile `dist`, and returns the result."""
    if not given:
        given = cargo_build(ROOT, "dist", target("target")) / "todo-backend"
    return existing_binary(given)


def existing_binary(path) -> Path:
    binary = Path(path)
    if not binary.is_file():
        raise Failure(f"{binary} does not exist")
    return binary.resolve()


def warn_if_busy() -> None:
    """Warns if the machine is busy, because wrk, the database and the service together already use two cores."""
    load = os.getloadavg()[0]
    if load > 0.5:
        report_progress(f"warning: the machine is busy (load average {load:.1f}), so the results will not be reliable")


def build(folder: str, name: str) -> Path:
    """Builds a Rust program of the benchmark in release mode."""
    return cargo_build(ROOT / "bench" / folder, "release", target("target/bench/cargo")) / name


def cargo_build(source: Path, profile: str, to: Path) -> Path:
    """Builds a crate into the target directory `to`, and returns the folder with the binaries."""
    report_progress(f"building {source.name}")
    command = ["cargo", "build", "--profile", profile, "--locked", "--quiet"]
    run(*command, cwd=source, env={**os.environ, "CARGO_TARGET_DIR": str(to)})
    return to / profile


def python_with(requirements: Path, folder: Path) -> Path:
    """Installs packages into a virtual environment, and returns the path of its Python interpreter."""
    python = folder / "bin/python"
    kept = folder / "requirements.txt"
    if not kept.exists() or kept.read_text() != requirements.read_text():
        report_progress(f"installing the packages in {requirements.relative_to(ROOT)}")
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "--quiet", "-r", requirements)
        shutil.copy(requirements, kept)
    return python


def node_with(source: Path, folder: Path) -> Path:
    """Copies a Node program, and installs the packages of its package.json next to the copy. Returns its path."""
    wanted = (source / "package.json").read_text()
    kept = folder / "package.json"
    if not kept.exists() or kept.read_text() != wanted or not (folder / "node_modules").exists():
        report_progress(f"installing the packages in {source.relative_to(ROOT)}/package.json")
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
    """The ids of a process and of all its descendants."""
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
    """The fields of /proc/PID/stat from the third one on. The second is the process name, which may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid: int) -> float:
    """The user and system time of a process and its descendants, with a resolution of one clock tick."""
    return sum(sum(map(int, stat_fields(member)[11:13])) for member in processes_of(pid)) / TICKS_PER_SECOND


def memory_mb(pid: int) -> dict:
    """The resident memory, and the part of it that is not mapped from files (`own`)."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}
    return {"resident": sizes["VmRSS"], "own": sizes["RssAnon"]}


def print_verdict(missed: list) -> None:
    print(("Missed targets: " + "; ".join(missed) if missed else "All targets met.") + "\n", flush=True)
