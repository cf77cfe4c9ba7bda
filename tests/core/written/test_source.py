"""Reading: YAML 1.2, TOML, JSON and Python data become the same plain data, or problems with lines."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.written import source
from payaid_entitlements.core.written.plain import Plain, described
from payaid_entitlements.core.written.problems import Problem
from payaid_entitlements.errors import CatalogInvalid, ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "examples" / "payaid" / "catalog.yaml"


def read(text: str, format: source.Format = "yaml") -> dict[str, Plain]:
    data, findings = source.read_text(text, format)
    assert findings.fatal == ()
    return data


def problems(text: str, format: source.Format = "yaml") -> list[Problem]:
    return list(source.read_text(text, format)[1].fatal)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("9.99", Decimal("9.99")),
        ("9.90", Decimal("9.9")),
        ("5.", 5),
        (".5", Decimal("0.5")),
        ("1e3", 1000),
        ("-5", -5),
        ("-0.0", 0),
        ("2026-05-01", "2026-05-01"),
        ("2026-05-01T09:00:00Z", "2026-05-01T09:00:00Z"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("<<", "<<"),
        ("=", "="),
        ("'010'", "010"),
        ('"true"', "true"),
        ("'+5'", "+5"),
        ("100/month", "100/month"),
        ("5%", "5%"),
        ("[a, {b: c}]", ["a", {"b": "c"}]),
        ('{"$decimal": "1.50"}', Decimal("1.5")),
    ],
)
def test_yaml_means_what_version_1_2_says(written: str, means: object) -> None:
    """Words stay words, octal needs 0o, a point is exact, and a date is text."""
    value = read(f"x: {written}\n")["x"]

    assert (value, type(value)) == (means, type(means))


def test_words_that_older_yaml_took_for_truth_are_keys() -> None:
    """The keys `on`, `no` and `y` are text."""
    assert read("on: 1\nno: 2\ny: 3\n<<: 4\n") == {"on": 1, "no": 2, "y": 3, "<<": 4}


@pytest.mark.parametrize(
    ("text", "code", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "duplicate.key", 3, "the key 'a' is written twice, in lines 1 and 3"),
        ("p:\n  a: {b: 1}\n  a: {c: 2, d: [3]}\n", "duplicate.key", 3, "in lines 2 and 3"),
        ("a: +5\n", "number.sign", 1, "`+5` would be just 5"),
        ("- +5\n", "number.sign", 1, "`+5`"),
        ("+5\n", "number.sign", 1, "`+5`"),
        ("a: .inf\n", "number.not_finite", 1, "`unlimited`"),
        ("a: .NaN\n", "number.not_finite", 1, "`unlimited`"),
        ("a: 1e999999999999999999999\n", "number.not_finite", 1, "`unlimited`"),
        ("a: 1e99999\n", "number.range", 1, "30 digits"),
        ("a: 1e-99999\n", "number.range", 1, "30 digits"),
        ("a: " + "9" * 5000, "number.range", 1, "30 digits"),
        ("a: 0x" + "F" * 32, "number.range", 1, "30 digits"),
        ("a: !!str 5\n", "yaml.tag", 1, "`!!str`"),
        ("a: !mine {b: 1}\n", "yaml.tag", 1, "`!mine`"),
        ("a: !!python/object:os.system []\n", "yaml.tag", 1, "python/object"),
        ("a: 1\n---\nb: 2\n", "document.multiple", 2, "one document"),
        ("a: *b\n", "alias.unknown", 1, "`*b` names nothing"),
        ("a: &a [*a]\n", "alias.unknown", 1, "`*a` names nothing"),
        ("5: a\n", "key.not_text", 1, "the number 5; put it in quotes"),
        ("true: a\n", "key.not_text", 1, "not true"),
        ("? [a]\n: b\n", "key.not_text", 1, "not a list"),
        ("a: [1\n", "syntax", 2, "this is not YAML"),
        ("a: b: c\n", "syntax", 1, "this is not YAML"),
        ("a: \x07\n", "syntax", None, "this is not YAML"),
        ('a: "\\UFFFFFFFF"\n', "syntax", 1, "this is not YAML"),
        ("%YAML " + "1" * 5000 + ".1\n--- a\n", "syntax", None, "this is not YAML"),
        ("a: 1." + "0" * 50, "number.range", 1, "30 digits"),
        ('a: "\\0"\n', "text.invalid", 1, "cannot be stored"),
        ('"\\uD800": 1\n', "text.invalid", 1, "cannot be stored"),
        ("", "document.empty", None, "`plans`"),
        ("# nothing\n", "document.empty", None, "`plans`"),
        ("- a\n", "wrong.type", 1, "a list"),
        ("[" * 100, "document.too_deep", 1, "64 levels"),
        ("x" * (2**20 + 1), "file.too_large", None, "1,048,576 bytes"),
    ],
)
def test_yaml_that_would_surprise_is_refused(text: str, code: str, line: int | None, says: str) -> None:
    """What YAML readers disagree about, or pass over in silence, is a problem with its line."""
    found = problems(text)[0]

    assert (found.code, found.line) == (code, line)
    assert says in found.message


def test_the_first_of_two_equal_keys_is_looked_at() -> None:
    """After a key that is written twice, the rest of the file is still checked."""
    data, findings = source.read_text("a: 1\na: {b: [2]}\nc: 3\n")

    assert data == {"a": 1, "c": 3}
    assert [problem.code for problem in findings.fatal] == ["duplicate.key"]


def test_an_alias_is_what_it_names() -> None:
    """Scalars, lists and mappings can be named once and used again."""
    text = "a: &a {x: [1]}\nb: *a\nc: &c 5\nd: [*c, *c]\ne: &e [1]\nf: *e\n"
    assert read(text) == {"a": {"x": [1]}, "b": {"x": [1]}, "c": 5, "d": [5, 5], "e": [1], "f": [1]}


def test_a_small_text_that_stands_for_billions_of_values_is_refused() -> None:
    """Aliases of aliases are counted as they would be written out, and stop at a bound."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert [problem.code for problem in problems("\n".join(lines))] == ["document.too_large"]


def test_aliases_can_be_deeper_than_their_text() -> None:
    """A document is as deep as its aliases make it."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 80)]

    assert [problem.code for problem in problems("\n".join(lines))] == ["document.too_deep"]


@pytest.mark.parametrize(
    ("text", "code", "line", "says"),
    [
        ('{"a": 1,\n "b": {"a": 2},\n "a": 3}', "duplicate.key", 3, "'a' is written twice, in lines 1 and 3"),
        ('{"a": NaN}', "syntax", None, "NaN is no number"),
        ('{"a": -Infinity}', "syntax", None, "-Infinity"),
        ('{"a": 1e9999}', "number.range", 1, "30 digits"),
        ('{"a": 1,\n "b"}', "syntax", 2, "this is not JSON"),
        ("[" * 100_000, "syntax", None, "recursion"),
        ("[1]", "wrong.type", 1, "a list"),
        ("null", "document.empty", 1, "`plans`"),
    ],
)
def test_json_that_would_surprise_is_refused(text: str, code: str, line: int | None, says: str) -> None:
    """JSON is read strictly: no equal keys, no numbers that are none."""
    found = problems(text, "json")[0]

    assert (found.code, found.line) == (code, line)
    assert says in found.message


def test_yaml_knows_its_lines() -> None:
    """A problem in YAML names the line of the value, also in lists, and of the key where the value is below it."""
    data, findings = source.read_text("a:\n  - x: 1\n  -\n    - s\n    - {}\nb: {c: 2,\n  d: 3}\n", "yaml")

    assert data == {"a": [{"x": 1}, ["s", {}]], "b": {"c": 2, "d": 3}}
    assert findings.marks == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 0, "x"): 2, ("a", 1): 4, ("a", 1, 0): 4, ("a", 1, 1): 5,
        ("b",): 6, ("b", "c"): 6, ("b", "d"): 7,
    }  # fmt: skip


def test_where_a_catalog_came_from_is_named() -> None:
    """A text and a mapping have a name too."""
    for read, name in ((lambda: Catalog.loads("a: 1"), "<text>"), (lambda: Catalog.load({"a": 1}), "<mapping>")):
        with pytest.raises(CatalogInvalid) as raised:
            read()
        assert raised.value.problems[0].file == name


def test_json_knows_its_lines() -> None:
    """A problem in JSON names the line of the value, also in lists and under escaped keys."""
    text = '{\n "a": [\n  {"x": 1.50},\n  [{}, "s"]],\n "q\\"": "{"\n}'
    data, findings = source.read_text(text, "json")

    assert data == {"a": [{"x": Decimal("1.5")}, [{}, "s"]], 'q"': "{"}
    assert findings.marks == {
        (): 1, ("a",): 2, ("a", 0): 3, ("a", 0, "x"): 3,
        ("a", 1): 4, ("a", 1, 0): 4, ("a", 1, 1): 4, ('q"',): 5,
    }  # fmt: skip
    assert findings.line(("a", 1, 7, "deeper")) == 4


TOML = '''\
catalog = 1
note = """
[not.a.table
[not a table]
x y = z
"""
[plans.free]
trial = 2026-05-01
"quoted key" . inner = 9.90
[[list]]
a = 1
[[list]]
a = 2
'''


def test_toml_knows_its_lines() -> None:
    """A problem in TOML names the line of its key or table; dates are text, points are exact."""
    data, findings = source.read_text(TOML, "toml")

    assert data["plans"] == {"free": {"trial": "2026-05-01", "quoted key": {"inner": Decimal("9.9")}}}
    assert data["list"] == [{"a": 1}, {"a": 2}]
    assert findings.line(("plans", "free", "trial")) == 8
    assert findings.line(("plans", "free", "quoted key", "inner")) == 9
    assert findings.line(("list", 1, "a")) == 13
    assert findings.line(("note",)) == 2


TOML_LINES = """\
# \u2028 ends no line, and \u0085 neither
basic = \"\"\"
[not.a.table]
x = \\"\"\" 5 \"\"\"\"
literal = \'\'\'
[[nor.this]]
\'\'\'\'
empty = ["", \'\', \"\"\"\"\"\", {"a[b" = 1, c . d = [1]}] # [z]
lists = [
  "a, ]", # one
  [1979-05-27 07:32:00,
   {x = 1, y = {}}],
]
[[ t . "a]" ]]
x = 1
[[t."a]".u]]
[[t."a]"]]
[t."a]".u]
x = -1.5e3"""


def test_toml_knows_the_lines_of_everything_in_it() -> None:
    """Texts of several lines, lists, tables inside lines, and arrays of tables in arrays of tables."""
    _, findings = source.read_text(TOML_LINES, "toml")

    assert findings.fatal == ()
    assert findings.marks == {
        (): 1, ("basic",): 2, ("literal",): 5, ("empty",): 8,
        ("empty", 0): 8, ("empty", 1): 8, ("empty", 2): 8, ("empty", 3): 8, ("empty", 3, "a[b"): 8,
        ("empty", 3, "c"): 8, ("empty", 3, "c", "d"): 8, ("empty", 3, "c", "d", 0): 8,
        ("lists",): 9, ("lists", 0): 10, ("lists", 1): 11, ("lists", 1, 0): 11,
        ("lists", 1, 1): 12, ("lists", 1, 1, "x"): 12, ("lists", 1, 1, "y"): 12,
        ("t",): 14, ("t", "a]"): 14, ("t", "a]", 0): 14, ("t", "a]", 0, "x"): 15,
        ("t", "a]", 0, "u"): 16, ("t", "a]", 0, "u", 0): 16,
        ("t", "a]", 1): 17, ("t", "a]", 1, "u"): 18, ("t", "a]", 1, "u", "x"): 19,
    }  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_yaml_counts_lines_as_editors_do(end: str) -> None:
    """What ended a line in older YAML, such as U+2028, is a letter now: in comments, in keys and in texts."""
    text = '# \u2028 \u0085 \U00010000\na\u2029b: [1,\n  "x\u2028y\\L", \\U00010001\u0085]\nz: !tag 1\n'.replace(
        "\n", end
    )
    data, findings = source.read_text(text)

    assert data == {"a\u2029b": [1, "x\u2028y\u2028", "\\U00010001\u0085"]}
    assert findings.marks == {
        (): 2, ("a\u2029b",): 2, ("a\u2029b", 0): 2, ("a\u2029b", 1): 3, ("a\u2029b", 2): 3, ("z",): 4
    }  # fmt: skip
    assert [problem.line for problem in findings.fatal] == [4]
    assert [problem.line for problem in problems(f"# \u2028{end}a: [1{end}")] == [3]


def test_what_an_alias_stands_for_is_wrong_where_it_is_written() -> None:
    """In what is named once and used again, a mistake has one line: there it is mended; aliases of aliases too."""
    text = "a: &a\n  x: &x\n    - 1\n    - 2\n  y: *x\nb: *a\nc: 1\nc: *a\n"
    _, findings = source.read_text(text)

    assert [findings.line(path) for path in (("b",), ("b", "x", 1), ("b", "y"), ("b", "y", 1), ("b", "z"))] == [
        6, 4, 5, 4, 1
    ]  # fmt: skip
    assert findings.line(("c", "x", 1)) == 7


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a = 1\na = 2\n", 2, "this is not TOML: Cannot overwrite a value"),
        ("a = \n", 1, "this is not TOML: Invalid value"),
        ("a = " + "9" * 5000, None, "this is not TOML: Exceeds the limit"),
        ("a = " + "[" * 100_000, None, "this is not TOML: "),
    ],
)
def test_toml_that_is_none_is_refused(text: str, line: int | None, says: str) -> None:
    """What TOML's reader refuses is a problem, with its line where the reader says one."""
    found = problems(text, "toml")[0]

    assert (found.code, found.line) == ("syntax", line)
    assert found.message.startswith(says)


class Size(StrEnum):
    """A host's own words."""

    SMALL = "small"


def test_python_data_is_copied_exactly() -> None:
    """Tuples, enums, dates and decimals are taken for what they are; the caller's data stays its own."""
    given = {
        "a": (1, Decimal("2.50")),
        Size.SMALL: Size.SMALL,
        "d": date(2026, 5, 1),
        "$schema": "x",
        "n": None,
    }
    data, findings = source.read_source(given)

    assert findings.fatal == ()
    assert data == {"a": [1, Decimal("2.5")], "small": "small", "d": "2026-05-01", "n": None}
    assert type(data["small"]) is str


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"a": 1.5}, "number.float", "write Decimal('1.5')"),
        ({"a": [1.5, 2]}, "number.float", "not exact"),
        ({"a": float("nan")}, "number.float", "nan"),
        ({"a": object()}, "wrong.type", "a Python object"),
        ({1: 2}, "key.not_text", "the number 1"),
        ({"a": {None: 2}}, "key.not_text", "nothing"),
        ({"a": 10**30}, "number.range", "30 digits"),
    ],
)
def test_python_data_that_is_no_catalog_is_refused(given: dict[str, object], code: str, says: str) -> None:
    """Floats and objects are problems, not guesses."""
    with pytest.raises(CatalogInvalid) as raised:
        Catalog.load(given)

    assert raised.value.problems[0].code == code
    assert says in raised.value.problems[0].message


def test_data_that_contains_itself_is_refused() -> None:
    """Endless Python data ends at the bound on depth."""
    endless: dict[str, object] = {}
    endless["a"] = endless

    assert [p.code for p in source.read_source(endless)[1].fatal] == ["document.too_deep"]


def test_all_formats_give_one_catalog(tmp_path: Path) -> None:
    """The same content has one hash, whatever it is written in."""
    yaml = (
        "features: {seats: {kind: allocation}}\n"
        "plans: {a: {features: {seats: 2}, price: {monthly: 9.90, currency: EUR}}}"
    )
    toml = (
        '[features]\nseats = {kind = "allocation"}\n'
        '[plans.a]\nfeatures = {seats = 2}\nprice = {monthly = 9.9, currency = "EUR"}'
    )
    data = {
        "features": {"seats": {"kind": "allocation"}},
        "plans": {"a": {"features": {"seats": 2}, "price": {"monthly": Decimal("9.900"), "currency": "EUR"}}},
    }
    text = json.dumps(data, default=float)
    for name, content in (("c.yaml", yaml), ("c.YML", yaml), ("c.toml", toml), ("c.json", text)):
        (tmp_path / name).write_text(content, encoding="utf-8-sig")
        assert Catalog.load(tmp_path / name) == Catalog.load(data)
    assert Catalog.load(str(tmp_path / "c.toml")) == Catalog.loads(text, "json")


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("c.ini", b"", "file.format", "'.ini'"),
        ("c.ymal", b"", "file.format", "did you mean '.yml'"),
        ("c", b"", "file.format", "''"),
        ("none.yaml", None, "file.unreadable", "No such file"),
        ("c.yaml", b"\xff\xfe\x00", "file.unreadable", "decode"),
        ("c.yaml", b"#" * (2**20 + 1), "file.too_large", "1,048,576"),
        ("catalog: 1\nplans: {}", None, "file.unreadable", "use Catalog.loads(text)"),
        ("nul\0.yaml", None, "file.unreadable", "null"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(
    tmp_path: Path, name: str, content: bytes | None, code: str, says: str
) -> None:
    """There is one error to expect, and it says why."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogInvalid) as raised:
        Catalog.load(str(tmp_path / name))

    assert [problem.code for problem in raised.value.problems] == [code]
    assert says in raised.value.problems[0].message


def test_a_catalog_comes_from_a_path_or_a_mapping_only() -> None:
    """Bytes or a number are a mistake in the program, not in the catalog."""
    with pytest.raises(TypeError, match="not from a int"):
        Catalog.load(5)  # type: ignore[arg-type]  # the mistake under test


def test_an_unknown_format_is_refused() -> None:
    """The formats of texts are yaml, toml and json."""
    with pytest.raises(ConfigurationError, match="'ini' is not one of yaml, toml, json"):
        Catalog.loads("", "ini")  # type: ignore[arg-type]  # the mistake under test


def test_problems_describe_values_shortly() -> None:
    """A long text is cut before it floods a terminal."""
    assert described("x" * 100) == f"the text '{'x' * 60}...'"
