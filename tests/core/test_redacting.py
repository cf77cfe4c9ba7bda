"""What must not be in a log is not, whatever it is hidden in; what is harmless stays readable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.redacting import LONGEST, MASK, masked, masked_lines, without_secrets

LETTERS = "Ab3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0x"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{LETTERS}"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq3\n-----END RSA PRIVATE KEY-----"

#: A text, and what of it must not be seen.
SHAPES = [
    ("postgresql://app:hunter2@db.internal:5432/app", "hunter2"),
    ("redis://:hunter2@cache:6379/0", "hunter2"),
    ("mysql+pymysql://root:p%40ss@127.0.0.1/x", "p%40ss"),
    ("amqp://u:p:w@host//", "p:w"),
    ("could not connect to postgres://a:b@c@d/e", "b@c"),
    (f"Authorization: Bearer {LETTERS}", LETTERS),
    ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    (f"sent bearer {LETTERS}", LETTERS),
    (JWT, "eyJzdWIi"),
    (f"token {JWT} was refused", LETTERS),
    ("password=hunter2", "hunter2"),
    ("password: hunter2, next", "hunter2"),
    ('{"password": "hunter 2"}', "hunter 2"),
    ("passwd='hunter2'", "hunter2"),
    ("passphrase = hunter2", "hunter2"),
    ("secret=s3cr3t&x=1", "s3cr3t"),
    ("client_secret=s3cr3t", "s3cr3t"),
    ("api_key=abc123", "abc123"),
    ("apikey: abc123", "abc123"),
    ("API-KEY=abc123", "abc123"),
    ("access_token=abc123", "abc123"),
    ("refresh_token: abc123", "abc123"),
    ("id_token=abc123", "abc123"),
    ("Cookie: sid4711", "sid4711"),
    ("session_id=abc123", "abc123"),
    ("signature=abc123", "abc123"),
    ("credentials=abc123", "abc123"),
    ("private_key=abc123", "abc123"),
    ("SECRET_KEY = 'abc123'", "abc123"),
    ("AWS_SECRET_ACCESS_KEY=abc123", "abc123"),
    ("pwd=abc123", "abc123"),
    ("https://example.com/x?se=2026&sig=abc123", "abc123"),
    (PEM, "MIIEpAIBAAKCAQEA7"),
    (PEM[:60], "MIIEpAIBAAKCAQEA7"),
    (f"sk_live_{LETTERS}", LETTERS),
    (f"rk_test_{LETTERS}", LETTERS),
    (f"pk_live_{LETTERS}", LETTERS),
    (f"whsec_{LETTERS}", LETTERS),
    (f"sk-{LETTERS}", LETTERS),
    (f"ghp_{LETTERS}", LETTERS),
    (f"github_pat_{LETTERS}", LETTERS),
    (f"glpat-{LETTERS}", LETTERS),
    (f"xoxb-12345-{LETTERS}", LETTERS),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    (f"AIza{LETTERS}", LETTERS),
    (f"npm_{LETTERS}", LETTERS),
    (f"pypi-{LETTERS}", LETTERS),
    (f"SG.{LETTERS}.{LETTERS}", LETTERS),
    (f"hf_{LETTERS}", LETTERS),
    (f"rzp_live_{LETTERS}", LETTERS),
    (f"dop_v1_{'0af3' * 16}", "0af30af3"),
    (f"sha256={'0af3' * 16}", "0af30af3"),
    ("asha.rao@example.com", "asha.rao"),
    ("card 4111 1111 1111 1111 declined", "1111 1111"),
    ("5555555555554444", "55555555"),
]


@pytest.mark.parametrize(("text", "secret"), SHAPES)
def test_a_secret_is_masked_wherever_it_stands(text, secret):
    """Alone, in a sentence, in a field, in a thing in a field."""
    for said in (
        masked(text),
        masked(f"failed: {text}"),
        repr(without_secrets({"a": text})),
        repr(without_secrets({"a": [{"b": text}]})),
    ):
        assert secret not in said
        assert MASK in said


def test_there_are_fifty_shapes():
    """As many as are promised."""
    assert len(SHAPES) >= 50


@pytest.mark.parametrize(
    "text",
    [
        "acme",
        "crm.export",
        "plan.feature_absent",
        "postgresql://db.internal/app",
        "invoice:4211",
        "2026-11-26T09:00:00Z",
        "7F3K-92QX",
        "4111 1111 1111 1112",
        "9223372036854775807",
        "https://example.com/upgrade?plan=pro",
        "a@b",
        "the tenant's token was refused",
        "secretary",
        "बिल",
    ],
)
def test_what_is_harmless_is_read_as_it_was_written(text):
    """Also a long number that is no card's, and words that look like names of secrets."""
    assert masked(text) == text
    assert without_secrets({"tenant": text}) == {"tenant": text}


@pytest.mark.parametrize(
    "name", ["password", "db_password", "secret", "client_secret", "token", "api_key", "Cookie", "authorization", "dsn"]
)
def test_of_a_field_of_a_telling_name_nothing_is_shown(name):
    """However deep it is, and whatever it is worth."""
    assert without_secrets({name: "x"}) == {name: MASK}
    assert without_secrets({"a": {name: 7}}) == {"a": {name: MASK}}


def test_of_a_field_of_http_of_a_telling_name_nothing_is_shown():
    """As servers hand them on: in pairs, whose values have no shape of their own."""
    fields = [(b"host", b"app"), (b"x-api-key", b"4711"), ("Cookie", "sid=4711"), ["authorization", "4711"]]
    said = without_secrets({"headers": fields, "pair": ("host", "app"), "more": ("token", "4711", "x")})
    assert said == {
        "headers": [("host", "app"), ("x-api-key", MASK), ("Cookie", MASK), ["authorization", MASK]],
        "pair": ("host", "app"),
        "more": ("token", "4711", "x"),
    }


def test_nobody_writes_lines_of_a_log():
    """What a client chooses stays in its line, also where a terminal or a viewer breaks lines by other signs."""
    assert masked("acme\n2026 [error] all is lost\r\x1b[2J\u2028x\x85") == (
        "acme\\n2026 [error] all is lost\\r\\x1b[2J\\u2028x\\x85"
    )


def test_things_keep_their_shape():
    """What a program reads is still there."""
    said = without_secrets(
        {"n": 1, "f": 1.5, "t": True, "none": None, "raw": b"password=x", "many": ("a", 1), "set": {"a"}}
    )
    assert said == {"n": 1, "f": 1.5, "t": True, "none": None, "raw": "password=***", "many": ("a", 1), "set": ["a"]}


def test_errors_are_shown_by_what_they_say():
    """A driver quotes what it was given."""
    assert without_secrets({"e": ValueError("at redis://:pw@h")}) == {"e": "at redis://***@h"}


def test_what_cannot_say_what_it_is_fails_nobody():
    """Least of all while something else is being said to have failed."""

    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert without_secrets({"a": Broken()}) == {"a": "<Broken that cannot be shown: RuntimeError>"}


def test_things_in_themselves_have_an_end():
    """A list can be in itself."""
    endless = ["sk_live_abcdefgh"]
    endless.append(endless)
    assert "sk_live" not in repr(without_secrets({"a": endless}))


def test_a_text_without_end_is_cut():
    """A log is no place for a file, and no pattern is given a megabyte."""
    assert len(masked("a" * 10**6)) < LONGEST + 100
    assert masked("a" * (LONGEST + 5)).endswith("(5 more characters)")


@pytest.mark.parametrize(("text", "secret"), SHAPES)
def test_a_secret_that_lies_where_a_long_text_is_cut_is_masked(text, secret):
    inside = text.index(secret) + len(secret)
    said = masked("x " * ((LONGEST - inside) // 2) + f"{text} and so on")
    assert secret not in said.replace("x ", "")


@given(st.text(max_size=200))
def test_what_was_masked_stays_as_it_is(text):
    """A line passes ours and the host's own filter."""
    assert masked(masked(text)) == masked(text)


@given(st.text(alphabet="ab:/@.=-_ \n4111eyJ", max_size=300), st.sampled_from([shape for shape, _ in SHAPES]))
def test_a_line_stays_a_line(text, shape):
    """Whatever is in it."""
    said = masked(f"{text} {shape} {text}")
    assert len(said.splitlines()) <= 1
    json.dumps(said)


@pytest.mark.parametrize(
    "piece",
    ["a.", "a+", "a-", "a://", "a://:", "a+a://a:", "eyJaaaaa-", ":", "a:", "@", "bearer ", 'token="', "1 "],
)
def test_whoever_chooses_a_text_keeps_no_worker_busy_with_it(piece):
    """No shape is looked for from each place to the end: what fits none costs about what plain words cost."""
    hostile = ("a://" + piece * LONGEST)[:LONGEST]
    assert _seconds(masked, hostile) < 10 * _seconds(masked, "plain words " * (LONGEST // 12))


@pytest.mark.parametrize(
    "piece",
    [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nA: \n",
        "-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----\n",
        "-----BEGIN A ",
        " |",
        "E ",
        "\n",
        "A",
        "A ",
        "A: ",
        "\nA:",
        "-----END ",
    ],
)
@pytest.mark.parametrize("first", ["", "A: -----BEGIN PRIVATE KEY-----\n"])
def test_nor_with_lines(first, piece):
    hostile = (first + piece * 10 * LONGEST)[: 10 * LONGEST]
    assert _seconds(masked_lines, hostile) < 10 * _seconds(masked_lines, "plain words\n" * (10 * LONGEST // 12))


def _seconds(mask: Callable[[str], str], text: str) -> float:
    """Of this thread, so that what else runs on the machine does not count."""

    def once() -> float:
        began = time.thread_time()
        mask(text)
        return time.thread_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DATABASE_postgres://app:hunter2@db/app", "hunter2"),
        (f"postgres://app:{'q' * 2_000}@db/app", "qq"),
        ("sent to _maria.silva@example.com", "aria"),
        (f"{'x' * 80}@example.com", "x" * 40),
    ],
)
def test_what_stands_behind_a_letter_or_a_line_is_found_too(text, secret):
    assert secret not in masked(text)


ENCRYPTED = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nMIIEpAIBAAKCAQEA7\n"
    "-----END RSA PRIVATE KEY-----"
)


PGP = (
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\nComment: of acme\n\nMIIEpAIBAAKCAQEA7\n=q3Aw\n"
    "-----END PGP PRIVATE KEY BLOCK-----"
)


@pytest.mark.parametrize(
    "key",
    [
        PEM,
        PEM[:60],
        ENCRYPTED,
        PGP,
        PGP.replace("\n", "\n> "),
        PGP[:-40],
        f"{PEM}{PEM}",
        f"{PEM}\n{PEM}",
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\\n") + PEM,
        *(PEM.replace("\n", end) for end in ("\r\n", " \n", "\t\r\n", "\n  | ", "\n\t", "\n> ", "\n> > ", "\nE   ")),
    ],
)
def test_a_key_that_has_lines_of_its_own_is_masked_and_what_follows_is_read(key):
    """As in a traceback, which stays in its lines."""
    said = masked_lines(f"  File x.py\nValueError: {key}\nIt was raised while\n  token=abc123\n")
    assert "MIIEpAIBAAKCAQEA7" not in said
    assert said.splitlines()[-2:] == ["It was raised while", "  token=***"]
    assert said.startswith("  File x.py\nValueError: ***")


@pytest.mark.parametrize(
    ("first", "margin"),
    [("", ""), ("  | ", "  | "), ("> ", "> "), ("12:00 web-1 ", "12:00 web-1 "), ("E   ValueError: ", "E   ")],
)
def test_a_key_that_is_quoted_is_masked_in_each_of_its_lines(first, margin):
    """By a log, a mail or a test; what stands before it is kept, and so is what comes after its end."""
    text = first + f"{ENCRYPTED}\nValueError: boom\nnext".replace("\n", f"\n{margin}")
    assert masked_lines(text) == f"{first}***\n{margin}ValueError: boom\n{margin}next"


@pytest.mark.parametrize("key", [PGP, PGP.replace("\n", "\\n")])
def test_a_key_of_pgp_is_masked(key):
    """Its first and last lines end otherwise."""
    assert masked(f"key {key} end") == "key *** end"
