"""A private PostgreSQL server."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness.machine import Failure, report_progress, run
from harness.programs import free_port

# Settings that differ from the server's defaults.
SETTINGS = {
    "shared_buffers": "256MB",
    # These settings avoid checkpoints and vacuums during a run. The benchmark executes both between the runs.
    "max_wal_size": "8GB",
    "autovacuum": "off",
    # This speeds up the creation of the indexes after the seeding.
    "maintenance_work_mem": "512MB",
}
# With these settings, the server does not wait for the disk.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Settings for a database that is written once and then only read. Its WAL needs little disk space.
LOADED_ONCE = {**FAST, "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "1GB"}


def binaries() -> Path:
    """The directory of the newest installed version. Versions without a server are ignored."""
    servers = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = sorted((path.parent for path in servers), key=lambda path: float(path.parent.name))
    return found[-1] if found else Path("/nowhere")


class Postgres:
    def __init__(self, folder: Path, settings: dict):
        self.bin = binaries()
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = free_port()
        self.settings = {**SETTINGS, **settings}
        # PostgreSQL refuses to run as root, so root starts it as the user `postgres`.
        self.account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    def __enter__(self):
        report_progress("starting a private PostgreSQL")
        self._remove_leftover()
        self.folder.mkdir(parents=True)
        if self.account:
            entry = pwd.getpwnam("postgres")
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._as_account("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D", self.data)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        options = {**self.settings, "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, *settings],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self.account,
            )
        self._wait()

    def restart(self) -> None:
        """Restarts the server, which ends all sessions."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self._start()

    def _wait(self) -> None:
        for _ in range(200):
            if self.process.poll() is not None:
                raise Failure(f"PostgreSQL does not start:\n{self.log.read_text()}")
            try:
                return self.sql("SELECT 1", database="postgres")
            except Failure:
                time.sleep(0.05)
        raise Failure("PostgreSQL does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        shutil.rmtree(self.folder)

    def _as_account(self, command, *arguments) -> None:
        try:
            run(self.bin / command, *arguments, cwd=self.folder, **self.account)
        except PermissionError as error:
            raise Failure(f"the account postgres cannot enter {self.folder}: {error}; try --dir") from error

    def _remove_leftover(self) -> None:
        """Stops and removes the server of an earlier run that was killed."""
        if (self.data / "postmaster.pid").exists():
            stop = [self.bin / "pg_ctl", "stop", "-D", self.data, "-m", "immediate"]
            subprocess.run(stop, cwd="/", capture_output=True, **self.account)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def url(self, database: str, port=None) -> str:
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    def sql(self, script: str, database: str = "todo") -> str:
        client = [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        return run(*client, self.url(database), input=script).strip()

    def described(self) -> str:
        version = self.sql("SHOW server_version", database="postgres").split()[0]
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"PostgreSQL {version} ({settings}; other settings: the defaults)"

    def logging(self, setting: str, value: str) -> None:
        """Changes a log setting of the server, for all current sessions."""
        self.sql(f"ALTER SYSTEM SET {setting} = {value}; SELECT pg_reload_conf();", database="postgres")
        time.sleep(0.3)

    def statement_of(self, work) -> tuple:
        """Calls `work`, which must execute exactly one statement, and returns its text and its parameters."""
        before = self.log.stat().st_size
        self.logging("log_statement", "'all'")
        work()
        self.logging("log_statement", "'none'")
        with self.log.open("rb") as log:
            log.seek(before)
            text = log.read().decode()
        sent = re.findall(r"LOG:  execute [^:]+: (.*)\n.*DETAIL:  parameters: (.*)\n", text)
        if len(sent) != 1:
            raise Failure(f"expected one statement, but the server logged:\n{text}")
        (statement, parameters), = sent
        values = re.findall(r"\$\d+ = (?:NULL|'((?:[^']|'')*)')", parameters)
        return statement, [value.replace("''", "'") for value in values]
