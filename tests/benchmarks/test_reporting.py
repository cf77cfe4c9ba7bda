"""What figures say and when they fail, on figures that are made up."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks import __main__ as program
from benchmarks.measuring import BETWEEN_RUNS, Measured, percentile
from benchmarks.reporting import GATE_MS, Row, change, exit_code, row_of, saved_ratios, show, timed_row, to_json
from benchmarks.stage import Absent, Benchmark

FAST = Row("fast", ratio=1.5, budget=2, p50_ms=0.001, p99_ms=0.002)


def told(rows, before=None):
    """The table as people see it."""
    out = io.StringIO()
    show(rows, Console(file=out, width=160), before, "CPython on 2 processors")
    return out.getvalue()


# -- when a row fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        (FAST, True),
        (Row("at its budget", 2.0, 2), True),
        (Row("over it by the noise", 2.5, 2, noise=0.5), True),
        (Row("over it by what machines differ besides", 2.8, 2, noise=0.5), True),
        (Row("over it by more than that", 2.81, 2, noise=0.5), False),
        (Row("just under the gate", p99_ms=49.999), True),
        (Row("at the gate", p99_ms=50.0), False),
        (Row("far within its budget and slow", 1.0, 2, p50_ms=1.0, p99_ms=51.0), False),
        (Row("slow in the middle only because everything is", 1.0, 2, p50_ms=40.0, p99_ms=41.0), True),
        (Row("no budget, but a ratio", 99.0, p99_ms=0.1), True),
    ],
    ids=lambda value: value.operation if isinstance(value, Row) else "",
)
def test_a_row_fails_by_its_budget_beyond_the_noise_or_by_the_gate(row, ok):
    """The gate is absolute: noise is no excuse there."""
    assert row.ok is ok
    assert exit_code([FAST, row]) == (0 if ok else 1)


def test_what_a_machine_may_take_is_told_and_what_fails_is_told_at_the_end():
    """A log that was cut at its beginning still says what failed."""
    over, dear = Row("a bit dear", 2.6, 2, noise=0.5), Row("too dear", 9.0, 2, noise=0.1, p99_ms=1.0)
    lines = told([over, dear, FAST]).splitlines()
    assert "over" in next(line for line in lines if "a bit dear" in line)
    assert "failed too dear: ratio 9 (± 0.1) of 2, p99 1 ms" in lines[-1]
    assert not any("failed a bit dear" in line for line in lines)


def test_no_row_is_made_that_cannot_fail():
    """A figure without a budget and without a p99 would only be decoration."""
    with pytest.raises(ValueError, match="decoration: a row needs a budget or a p99"):
        Row("decoration", ratio=1.0)


def test_nothing_measured_is_a_failure():
    """Else an empty run would pass."""
    assert exit_code([]) == 1


def test_a_table_says_what_is_wrong_with_a_row():
    """The budget, or the gate; the gate where both are missed."""
    text = told([Row("dear", 9.0, 2, noise=0.1), Row("slow", 9.0, 2, p99_ms=GATE_MS), FAST])
    dear, slow, fast = (next(line for line in text.splitlines() if name in line) for name in ("dear", "slow", "fast"))
    assert "budget" in dear
    assert "p99 >= 50 ms" in slow
    assert "yes" in fast
    assert "CPython on 2 processors" in text


# -- figures -----------------------------------------------------------------------------------------------------


def test_a_percentile_is_one_of_the_values():
    """The smallest that so many percent do not exceed; never one that nobody measured."""
    values = [float(number) for number in range(200, 0, -1)]
    assert percentile(values, 50) == 100.0
    assert percentile(values, 99) == 198.0
    assert percentile([7.0], 99) == 7.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0


def test_one_in_fifty_that_is_slow_shows_in_the_p99_and_not_in_the_median():
    """What the gate is for."""
    row = timed_row("load", [1.0] * 98 + [80.0] * 2)
    assert (row.p50_ms, row.p99_ms, row.ok) == (1.0, 80.0, False)


def test_a_ratio_is_the_median_of_its_repeats_and_noise_is_the_middle_half():
    """A repeat in which something else ran bends neither."""
    measured = Measured.of([2.0, 2.5, 3.0, 3.5, 90.0])
    assert (measured.ratio, measured.noise) == (3.0, 1.0)


def test_noise_is_never_less_than_what_processes_differ_by():
    """Repeats in one process agree better than processes do."""
    assert Measured.of([4.0, 4.0, 4.0]).noise == 4.0 * BETWEEN_RUNS


def test_a_row_takes_the_samples_it_is_given_else_those_of_the_measurement():
    """Percentiles are of single calls, always."""
    measured = Measured(1.0, 0.0, [3.0] * 100)
    assert row_of("own", measured, 2).p99_ms == 3.0
    assert row_of("given", measured, 2, [5.0] * 100).p99_ms == 5.0
    assert row_of("none", Measured(1.0, 0.0), 2).p99_ms is None


# -- saved runs --------------------------------------------------------------------------------------------------


def test_a_saved_run_is_read_again(tmp_path):
    """Rows are exactly what programs are promised; those without a ratio have nothing to compare."""
    rows = [FAST, Row("load", p50_ms=1.0, p99_ms=2.0)]
    assert list(json.loads(to_json(rows))[0]) == ["operation", "ratio", "budget", "p50_ms", "p99_ms", "ok"]
    file = tmp_path / "run.json"
    file.write_text(to_json(rows), encoding="utf-8")
    assert saved_ratios(file) == {"fast": 1.5}


@pytest.mark.parametrize("text", ['{"operation": "fast"}', '[{"operation": "fast"}]', "[3]", "no JSON"])
def test_what_is_no_saved_run_is_refused(tmp_path, text):
    """A typing mistake must not read as "nothing has changed"."""
    file = tmp_path / "run.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError):
        saved_ratios(file)


def test_change_is_relative_and_only_of_what_both_runs_have():
    """Twice as dear is +100 %."""
    assert change(Row("a", 3.0, 9), {"a": 1.5}) == 1.0
    assert change(Row("a", 3.0, 9), {"b": 1.5}) is None
    assert change(Row("a", p99_ms=1.0), {"a": 1.5}) is None
    text = told([Row("dearer", 3.0, 9), Row("new one", 1.0, 9)], {"dearer": 1.5})
    assert "+100%" in next(line for line in text.splitlines() if "dearer" in line)
    assert "new" in next(line for line in text.splitlines() if "new one" in line).replace("new one", "")


# -- the program -------------------------------------------------------------------------------------------------


@pytest.fixture
def subjects(monkeypatch):
    """Benchmarks that measure nothing: a fast one, a slow one and one that is absent here."""

    def absent(stage):
        raise Absent("no server to start")

    made = {
        "hits": [Benchmark("fast", lambda stage: [FAST])],
        "load": [
            Benchmark("slow", lambda stage: [Row("slow", p50_ms=1.0, p99_ms=GATE_MS)]),
            Benchmark("dear", lambda stage: [Row("dear", 9.0, 2)]),
            Benchmark("absent", absent),
        ],
    }
    monkeypatch.setattr(program, "SUBJECTS", made)


@pytest.mark.parametrize(
    ("only", "code"),
    [("fast", 0), ("hits", 0), ("slow", 1), ("dear", 1), ("fast,slow", 1), ("absent", 1), ("fast,absent", 0)],
)
def test_the_exit_code_is_for_programs(subjects, capsys, only, code):
    """1 when a p99 reaches the gate or a budget is missed, and when nothing was measured at all."""
    assert program.main(["--only", only]) == code


def test_only_chooses_by_benchmark_and_by_subject_each_once(subjects):
    """In the order that was asked for."""
    assert [one.name for one in program.choose("dear, fast,load")] == ["dear", "fast", "slow", "absent"]
    assert [one.name for one in program.choose(None)] == ["fast", "slow", "dear", "absent"]


def test_a_name_that_is_none_lists_those_that_there_are(subjects, capsys):
    """And exits with 2, as for every wrong argument."""
    with pytest.raises(SystemExit) as ended:
        program.main(["--only", "fats"])
    assert ended.value.code == 2
    assert "there is no benchmark 'fats'; there are hits (fast); load (slow, dear, absent)" in " ".join(
        capsys.readouterr().err.split()
    )


def test_json_is_the_only_thing_on_standard_output(subjects, capsys):
    """Progress and what is left out go to standard error."""
    assert program.main(["--json", "--only", "fast,absent"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == [
        {"operation": "fast", "ratio": 1.5, "budget": 2, "p50_ms": 0.001, "p99_ms": 0.002, "ok": True}
    ]
    assert "left out absent: no server to start" in printed.err


def test_a_run_is_compared_with_a_saved_one(subjects, capsys, tmp_path):
    """Also beside --json, then on standard error."""
    file = tmp_path / "run.json"
    file.write_text(to_json([Row("fast", 1.0, 2)]), encoding="utf-8")
    assert program.main(["--only", "fast", "--compare", str(file)]) == 0
    assert "+50%" in capsys.readouterr().out
    assert program.main(["--only", "fast", "--compare", str(file), "--json"]) == 0
    printed = capsys.readouterr()
    assert "+50%" in printed.err
    assert json.loads(printed.out)[0]["ratio"] == 1.5


def test_a_file_that_is_not_there_is_a_wrong_argument(subjects, capsys, tmp_path):
    """Before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        program.main(["--compare", str(tmp_path / "none.json")])
    assert ended.value.code == 2


def test_what_fails_is_measured_again_and_what_is_too_slow_each_time_fails():
    """A program that wakes up in the middle spoils a run, not the promise."""

    def running(*runs):
        left = iter(runs)
        return Benchmark("some", lambda stage: [Row("a", p99_ms=each) for each in next(left)])

    assert program.calmest(running([1.0, 2.0]), None) == [Row("a", p99_ms=1.0), Row("a", p99_ms=2.0)]
    assert [row.p99_ms for row in program.calmest(running([60.0, 1.0], [2.0, 3.0]), None)] == [2.0, 3.0]
    assert [row.p99_ms for row in program.calmest(running([60.0, 61.0], [62.0, 1.0], [63.0, 64.0]), None)] == [
        62.0,
        1.0,
    ]
