"""
The project's chores, one session each: ``nox -s NAME``; ``nox -l`` lists them.

``nox`` alone runs what must hold for every change. `bench`, `soak`, `mutation` and `clients` take longer or need more,
and are asked for by name; continuous integration runs `bench` too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "typing", "layers", "build", "tests", "coverage"]
nox.options.reuse_venv = "yes"

#: Everything in which a gap of the tests would be a gap of the product: every branch of it is run.
COVERED = (
    *("core", "cache", "stores", "limiting", "metering", "admin", "guards"),
    *("answering.py", "binding.py", "client.py", "entitlements.py", "flag_view.py", "settings.py", "view.py"),
)
PACKAGE = "payaid_entitlements"
#: Other libraries beside which ours are measured; those that limit rates are among what tests need.
PEERS = (
    "growthbook>=4",
    "launchdarkly-server-sdk>=9.18",
    "UnleashClient>=6.9",
    "openfeature-provider-flagd>=0.6.1",
    "django-waffle>=5",
)
DIST = Path("dist")


def install_wheel(session: nox.Session, extras: str) -> None:
    """Build the wheel and install it as users have it: what runs is never the source tree."""
    place = Path(session.create_tmp()) / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), ".")
    (wheel,) = place.glob("*.whl")
    session.install("--quiet", f"{wheel}[{extras}]")
    # The version does not grow with each edit: an environment that is used again needs the new files.
    session.install("--quiet", "--no-deps", "--force-reinstall", str(wheel))


@nox.session
def lint(session: nox.Session) -> None:
    """Style and spelling."""
    session.install("--quiet", "ruff>=0.15", "codespell>=2.4")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def typing(session: nox.Session) -> None:
    """Types of the library, and of code that uses it as its users would."""
    install_wheel(session, "all,test")
    examples = ("examples/payaid", "examples/folder_store", "examples/one_transaction")
    session.run("mypy", "src", *examples, "benchmarks", "tests/typing/api.py")


@nox.session
def layers(session: nox.Session) -> None:
    """Imports point down only."""
    session.install("--quiet", "--editable", ".[all]", "import-linter>=2.7")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The suite, against the installed wheel; arguments go to pytest."""
    install_wheel(session, "all,test")
    # nox has a place of its own; who says where temporary files go means those of tests, and of the servers they start.
    session.env["TMPDIR"] = tempfile.gettempdir()
    # The plugin of coverage is in the tests, and processes that tests start look for it too.
    session.env["PYTHONPATH"] = str(Path.cwd())
    session.run("coverage", "erase")
    # The pytest plugin of the package is imported before any option of pytest is read, so coverage starts first.
    run = ("coverage", "run", "-m", "pytest")
    if session.posargs:
        session.run(*run, *session.posargs)
        return
    # What measures time, or kills servers under load, mostly waits: two of its kind at once, and nothing else.
    session.run(*run, "-n", "auto", "--maxprocesses=4", "--dist=worksteal", "-m", "not soak and not alone")
    # Only where such tests are (`tests/conftest.py` sees to it): to collect all others again takes a minute.
    alone = ("benchmarks", "channels", "faults", "stores/redis/limiter")
    two = ("-n", "2", "--dist=worksteal", "-m", "alone and not soak", "--durations=20")
    session.run(*run, *two, *(f"tests/{place}" for place in alone))


@nox.session
def clients(session: nox.Session) -> None:
    """The official clients of JavaScript against our server of flags; needs node and npm."""
    install_wheel(session, "all,test")
    place = Path(session.create_tmp()) / "clients"
    place.mkdir(exist_ok=True)
    shutil.copy("tests/openfeature/npm/package.json", place)
    session.run("npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", external=True)
    session.run("pytest", "tests/openfeature/test_ofrep_clients.py", env={"PAYAID_NODE_MODULES": str(place.resolve())})


@nox.session
def coverage(session: nox.Session) -> None:
    """Every branch of the licensing logic is run by the tests. Reads what `tests` has written."""
    # It reads the settings of who traces, of which a plugin asks greenlet.
    session.install("--quiet", "coverage[toml]>=7.10", "greenlet")
    session.env["PYTHONPATH"] = str(Path.cwd())
    session.run("coverage", "combine", "--quiet", success_codes=[0, 1])
    session.run("coverage", "report", "--skip-covered", "--fail-under=0")
    places = [f"src/{PACKAGE}/{place}" + ("" if place.endswith(".py") else "/*") for place in COVERED]
    session.run("coverage", "report", "--fail-under=100", f"--include={','.join(places)}")


@nox.session
def docs(session: nox.Session) -> None:
    """Every code block of the documentation runs. Part of `tests` too."""
    install_wheel(session, "all,test")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Figures against their budgets; fails when a check's 99th percentile reaches 50 ms."""
    install_wheel(session, "all,test")
    session.install("--quiet", *PEERS)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build both distributions; install the wheel bare, where no extra is present, and import it."""
    session.install("--quiet", "build>=1.3")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(DIST), silent=True)
    (wheel,) = DIST.glob("*.whl")
    bare = Path(session.create_tmp()) / "bare"
    shutil.rmtree(bare, ignore_errors=True)
    session.run("python", "-m", "venv", str(bare))
    python = next(bare.glob("[Bb]in/python")) if (bare / "bin").exists() else bare / "Scripts" / "python.exe"
    run = {"external": True}
    session.run(str(python), "-m", "pip", "install", "--quiet", str(wheel), **run)
    session.run(str(python), "-c", BARE_USE, **run)
    session.run(str(python), "-m", PACKAGE + ".cli", "--version", success_codes=[2], **run)


#: What somebody does who has installed nothing but the library.
BARE_USE = """
import importlib.util
import payaid_entitlements as p
for extra in ("sqlalchemy", "redis", "fastapi", "typer", "rich"):
    assert importlib.util.find_spec(extra) is None, extra
sold = {"catalog": 1, "default_plan": "free", "modules": {"crm": {"features": {"export": {"kind": "switch"}}}},
        "plans": {"free": {"modules": ["crm"]}}}
with p.Entitlements.open("memory://", catalog=p.Catalog.load(sold)) as ent:
    assert ent.check("acme", "crm").allowed
    assert not ent.check("acme", "crm.export").allowed
print("bare:", p.__version__)
"""


@nox.session
def soak(session: nox.Session) -> None:
    """The long versions: more examples, more processes, more time."""
    install_wheel(session, "all,test")
    session.run("pytest", "-m", "soak", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the core in many small ways: at least nine of ten must be noticed by its tests. Takes an hour or so."""
    session.install("--quiet", "--editable", ".[all,test]", "mutmut>=3.3")
    session.run("python", "-m", "tests.mutation", *(session.posargs or ("--sample", "400")))
