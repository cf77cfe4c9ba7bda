"""`payaid flag`: what is shown, what is turned, and what is told before."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
import yaml

from payaid_entitlements import Entitlements
from payaid_entitlements.cli import flag_changes, flag_history
from payaid_entitlements.cli.examples import example_directory
from tests.cli.conftest import Terminal

BECAUSE = ("--because", "day 2", "--yes")


def changed(terminal: Terminal, *arguments: str) -> str:
    """Make a change and return what the terminal showed."""
    output = terminal.run("flag", *arguments, *BECAUSE)
    assert output.code == 0, output.err
    return output.out


@pytest.fixture
def grown(terminal: Terminal) -> Terminal:
    """The example's flag, rolled out to a quarter."""
    terminal.changed("flag", "rollout", "new-checkout", "25%", "--because", "day 1")
    return terminal


def test_all_flags_are_listed_with_what_they_are(grown: Terminal) -> None:
    [listed] = grown.run("flag", "list", "--json").data
    assert listed == {
        "flag": "new-checkout",
        "state": "rollout: 25% get on",
        "title": "",
        "owner": "growth@payaid.example",
        "remove_by": "2027-03-31",
        "narrows": ["invoicing.recurring"],
        "changed": True,
    }
    text = grown.run("flag", "list").out
    assert "sqlite:///payaid.db" in text
    assert "rollout: 25% get on" in text
    assert "changed since" in text
    changed(grown, "kill", "new-checkout")
    assert grown.run("flag", "list", "--json").data[0]["state"] == "killed"


def test_on_a_narrow_terminal_a_list_says_what_flags_are(grown: Terminal) -> None:
    grown.environment["COLUMNS"] = "40"
    output = grown.run("flag", "list").out
    assert "rollout: 25% get on" in output
    assert "owner" not in output


def test_a_rollout_says_who_enters_and_that_none_leaves(grown: Terminal) -> None:
    """The database is named before anything else."""
    text = changed(grown, "rollout", "new-checkout", "60%")
    lines = text.splitlines()
    assert lines[0] == "database sqlite:///payaid.db"
    assert lines[1].startswith("  new-checkout rollout  25% -> 60%   +")
    assert lines[1].endswith(" tenants, none leaves, none changes arm")
    assert lines[2] == "  because day 2"
    assert "take it back: payaid flag undo new-checkout" in text
    told = grown.run("flag", "rollout", "new-checkout", "25%", *BECAUSE, "--json").data
    assert told["flag"] == "new-checkout"
    assert told["forecast"]["leave"] == told["forecast"]["before"] - told["forecast"]["after"] > 0
    assert told["forecast"]["enter"] == told["forecast"]["change"] == 0
    assert told["forecast"]["tenants"] == 11


def test_nothing_is_changed_without_a_yes(grown: Terminal, somebody) -> None:
    """Who is asked sees what would be moved."""
    before = grown.run("flag", "show", "new-checkout", "--json").data
    output = grown.run("flag", "rollout", "new-checkout", "60%", "--because", "x")
    assert (output.code, "there is no terminal to ask at" in output.err) == (2, True)
    somebody()
    output = grown.run("flag", "rollout", "new-checkout", "60%", "--because", "x", answers="n\n")
    assert (output.code, "25% -> 60%" in output.out) == (1, True)
    assert grown.run("flag", "show", "new-checkout", "--json").data == before


def test_what_is_not_known_here_is_said_beside_the_count(terminal: Terminal) -> None:
    file = terminal.directory / "flags.json"
    file.write_text(json.dumps({"flags": {"look": {"bucket_by": "user"}}}))
    changed(terminal, "import", "flags.json")
    text = " ".join(changed(terminal, "rollout", "look", "60%").split())
    assert "+0 tenants, none leaves, none changes arm of those who have no user: that is not known here" in text


def test_a_flag_is_undone_back_and_back(grown: Terminal) -> None:
    """Until it is as the catalog has it. Its kill switch is not lifted by that."""
    changed(grown, "rollout", "new-checkout", "60%")
    assert "take it back: payaid flag restore new-checkout" in changed(grown, "kill", "new-checkout")
    text = changed(grown, "undo", "new-checkout")
    assert "new-checkout rollout  60% -> 25%   +0 tenants, " in text
    assert "none changes arm" in text
    assert "leave" in text
    assert "25% -> 5%, 25%, 50%, 100% from" in changed(grown, "undo", "new-checkout")
    output = grown.run("flag", "undo", "new-checkout", *BECAUSE)
    assert (output.code, output.out) == (1, "")
    assert "is as the catalog has it; there is nothing to take back" in output.err
    assert grown.run("flag", "list", "--json").data[0]["state"] == "killed"
    output = grown.run("flag", "undo", "new-chekout", *BECAUSE)
    assert (output.code, "did you mean 'new-checkout'" in output.err) == (2, True)


def test_what_goes_back_with_a_flag_is_named_and_counted(grown: Terminal) -> None:
    """An import is one change, whichever of its flags is undone."""
    flags = {f"look-{number:02}": {"rollout": "100%"} for number in range(22)}
    (grown.directory / "many.json").write_text(json.dumps({"flags": flags, "segments": {"near": {"country": "IN"}}}))
    changed(grown, "import", "many.json")
    output = grown.run("flag", "undo", "look-05", "--because", "x")
    assert "there is no terminal to ask at" in output.err
    text = output.out
    assert "  look-04 too   +0 tenants, 11 leave, none changes arm\n" in text
    assert "  and 2 more flags too: of these nobody was counted\n" in text
    [counted] = [line for line in text.splitlines() if " -> " in line and "11 leave" in line]
    assert counted.startswith("  flag look-05 ")
    told = grown.run("flag", "undo", "look-05", *BECAUSE, "--json").data
    assert (told["forecast"]["key"], len(told["too"])) == ("look-05", 19)


def test_a_killed_flag_comes_back_as_it_was(grown: Terminal) -> None:
    """What is changed meanwhile is told to have no effect yet."""
    assert "kill switch of new-checkout  off -> on" in changed(grown, "kill", "new-checkout")
    output = grown.run("flag", "kill", "new-checkout", *BECAUSE)
    assert "nothing was changed (change.unchanged)" in output.out
    output = grown.run("flag", "rollout", "new-checkout", "60%", *BECAUSE)
    assert "it is killed: nobody gets it before `payaid flag restore new-checkout`" in output.err
    changed(grown, "restore", "new-checkout")
    assert grown.run("flag", "list", "--json").data[0]["state"] == "rollout: 60% get on"


@pytest.mark.parametrize("verb", ["kill", "restore"])
def test_only_flags_are_killed_as_flags(grown: Terminal, verb: str) -> None:
    output = grown.run("flag", verb, "crm", *BECAUSE)
    assert (output.code, "there is no flag 'crm'" in output.err) == (2, True)


def test_everybody_gets_a_variant_until_the_rules_decide_again(grown: Terminal) -> None:
    text = changed(grown, "set", "new-checkout", "on")
    assert "new-checkout rule set  none -> set: all get on   +" in text
    assert grown.run("flag", "list", "--json").data[0]["state"] == "on for everybody"
    assert "set: all get on -> none" in changed(grown, "set", "new-checkout", "--rules")
    for arguments in (("on", "--rules"), ()):
        output = grown.run("flag", "set", "new-checkout", *arguments, *BECAUSE)
        assert (output.code, "say what everybody gets" in output.err) == (2, True)
    output = grown.run("flag", "set", "new-checkout", "onn", *BECAUSE)
    assert (output.code, "no variant 'onn'; did you mean 'on'?" in output.err) == (2, True)


def test_a_flag_is_removed_once_nobody_would_get_more_by_that(grown: Terminal) -> None:
    """What it keeps from somebody is said, with the way out; with --force before anybody says yes, killed or not."""
    output = grown.run("flag", "remove", "new-checkout", *BECAUSE)
    assert (output.code, output.out) == (2, "")
    assert "keeps 'invoicing.recurring' from those" in output.err
    assert "`payaid flag remove new-checkout --force`" in output.err
    changed(grown, "kill", "new-checkout")
    output = grown.run("flag", "remove", "new-checkout", "--force", "--because", "x")
    assert (output.code, "there is no terminal to ask at" in output.err) == (2, True)
    assert "  opens invoicing.recurring to all whose plan has it\n" in output.out
    output = grown.run("flag", "remove", "new-checkout", "--force", *BECAUSE)
    text = " ".join(output.out.split())
    assert "rollout: 25% get on, else off -> none +0 tenants, " in text
    assert " leave" in text
    assert "take it back: payaid flag undo new-checkout" in output.out
    assert "nobody gets it" not in output.err
    assert grown.run("flag", "list", "--json").data == []
    output = grown.run("flag", "remove", "new-checkout", *BECAUSE)
    assert (output.code, "there is no flag 'new-checkout'" in output.err) == (2, True)
    changed(grown, "undo", "new-checkout")
    assert grown.run("flag", "list", "--json").data[0]["state"] == "killed"
    changed(grown, "restore", "new-checkout")
    changed(grown, "set", "new-checkout", "on")
    assert "opens" not in changed(grown, "remove", "new-checkout")


def test_what_was_rolled_out_by_time_is_on_for_everybody(terminal: Terminal) -> None:
    """Its schedule is looked at as of now: nobody would get more without it."""
    scheduled = {"narrows": ["crm"], "rollout": {"schedule": [{"at": "2026-11-01T00:00:00Z", "percent": "100%"}]}}
    (terminal.directory / "flags.json").write_text(json.dumps({"flags": {"look": scheduled}}))
    changed(terminal, "import", "flags.json")
    assert "opens" not in changed(terminal, "remove", "look")


def test_who_kills_what_narrows_is_told_what_is_refused_then(grown: Terminal) -> None:
    output = grown.run("flag", "kill", "new-checkout", "--because", "x")
    assert "there is no terminal to ask at" in output.err
    assert "  refuses invoicing.recurring to everybody until it is restored\n" in output.out
    changed(grown, "kill", "new-checkout")
    assert "refuses" not in changed(grown, "restore", "new-checkout")


@pytest.mark.parametrize("percent", ["25", "101%", "half"])
def test_a_share_is_a_percentage(grown: Terminal, percent: str) -> None:
    output = grown.run("flag", "rollout", "new-checkout", percent, *BECAUSE)
    assert (output.code, "Invalid value" in output.err) == (2, True)


def test_the_history_of_a_flag_is_its_changes_and_its_switch(grown: Terminal, monkeypatch) -> None:
    monkeypatch.setattr(flag_history, "PAGE", 2)
    for number in range(4):
        changed(grown, "rollout", "new-checkout", f"{30 + number}%")
    changed(grown, "kill", "new-checkout")
    grown.run("override", "set", "kaveri", "hr", "true", "--forever", *BECAUSE)
    entries = grown.run("flag", "history", "new-checkout", "--json").data
    assert [each["verb"] for each in entries] == ["rollout"] * 5 + ["kill"]
    text = grown.run("flag", "history", "new-checkout", "--limit", "2").out
    assert "new-checkout rollout  32% -> 33%" in text
    assert "kill" in text
    assert "31% -> 32%" not in text
    assert "day 2" in text
    assert "flags  rollout" in grown.run("audit", "--feature", "new-checkout").out


def test_a_flag_that_there_is_not_has_no_history(terminal: Terminal) -> None:
    """One of which nothing was changed has an empty one."""
    output = terminal.run("flag", "history", "new-chekout")
    assert (output.code, "did you mean 'new-checkout'" in output.err) == (2, True)
    output = terminal.run("flag", "history", "new-checkout")
    assert (output.code, "no such change is recorded" in output.err) == (0, True)


def test_a_flag_is_shown_whole(grown: Terminal) -> None:
    (grown.directory / "flags.yaml").write_text(
        """
        segments: {near: {country: [IN, NP]}, far: {country: US}}
        flags:
          colour:
            title: Colour
            variants: [red, blue]
            default: red
            salt: paint
            fallback: user
            needs: {new-checkout: on}
            exclusion: {group: paints, percent: 50%}
            holdout: {group: calm, percent: 1%}
            rules: [{id: neighbours, when: {segment: near}, split: {red: 1, blue: 3}}]
        """
    )
    changed(grown, "import", "flags.yaml")
    text = grown.run("flag", "show", "colour").out
    for words in (
        'rule 1     neighbours: all of {"segment": "near"} get blue 3, red 1',
        "colour  neighbours",
        "title      Colour",
        "variants   blue = 'blue', red = 'red'",
        "buckets by tenant, else user",
        "salt       paint",
        "needs      new-checkout is on",
        "exclusion  0% to 50% of paints",
        "holdout    0% to 1% of calm",
        'segment    near: {"test": ["country", "in", ["IN", "NP"]]}',
    ):
        assert words in text, words
    assert "far" not in text
    shown = grown.run("flag", "show", "colour", "--json").data
    assert shown["definition"]["rules"] == [
        {"id": "neighbours", "when": {"segment": "near"}, "split": {"blue": 3, "red": 1}}
    ]
    assert shown["progress"] is None


def test_what_the_catalog_has_is_said_to_be_the_catalogs(terminal: Terminal) -> None:
    text = " ".join(terminal.run("flag", "show", "new-checkout").out.split())
    assert "as the catalog has it" in text
    assert "rolled back if error_rate > control + 0.5%" in text
    assert "catalog" in terminal.run("flag", "list").out


def test_flags_that_have_done_their_work_are_stale(grown: Terminal) -> None:
    """Past their day, or answering everybody alike for a month."""
    output = grown.run("flag", "stale")
    assert (output.code, output.out, "no flag is stale" in output.err) == (0, "", True)
    changed(grown, "set", "new-checkout", "on")
    grown.later(days=31)
    output = grown.run("flag", "stale")
    assert output.code == 1
    assert "everybody has got on for 31 days" in output.out
    grown.later(days=200)
    output = grown.run("flag", "stale", "--json")
    assert output.code == 1
    [told] = output.data
    assert told["why"][0].startswith("it was to be removed by 2027-03-31, ")
    assert (told["flag"], told["owner"], len(told["why"])) == ("new-checkout", "growth@payaid.example", 2)


def test_flags_of_a_file_are_shown_before_they_are_defined(grown: Terminal, somebody) -> None:
    """All or none; what is so already is not touched."""
    file = grown.directory / "flags.yaml"
    file.write_text("flags: {look: {rollout: 5%}, other: {needs: {look: on}}}")
    somebody()
    output = grown.run("flag", "import", "flags.yaml", "--because", "x", answers="n\n")
    assert output.code == 1
    assert "flag look  none -> boolean" in output.out
    assert len(grown.run("flag", "list", "--json").data) == 1
    told = grown.run("flag", "import", "flags.yaml", *BECAUSE, "--json").data
    assert (told["applied"], len(told["altered"])) == (True, 2)
    assert "nothing to do" in grown.run("flag", "import", "flags.yaml", *BECAUSE).out
    assert grown.run("flag", "import", "flags.yaml", *BECAUSE, "--json").data["applied"] is False
    file.write_text("flags: {look: {rollout: 500%}, crm: {}}")
    output = grown.run("flag", "import", "flags.yaml", *BECAUSE)
    assert output.code == 2
    assert "2 problems in the flags" in output.err
    output = grown.run("flag", "import", "nothing.json", *BECAUSE)
    assert (output.code, "nothing.json" in output.err) == (2, True)


def test_a_title_writes_no_lines_of_the_review(terminal: Terminal, somebody) -> None:
    """What is agreed to is what will be done, whoever wrote the file."""
    file = terminal.directory / "titled.json"
    file.write_text(json.dumps({"flags": {"titled": {}}}))
    changed(terminal, "import", "titled.json")
    flag = {"title": "two\n  [bold]flag billing[/]  off -> on\n  nobody is moved"}
    file.write_text(json.dumps({"flags": {"titled": flag}}))
    somebody()
    output = terminal.run("flag", "import", "titled.json", "--because", "x\ny", answers="n\n")
    assert r"titled title  none -> two\x0a  [bold]flag billing[/]" in output.out
    assert r"because x\x0ay" in output.out
    lines = [line.strip() for line in output.out.splitlines()]
    assert not [line for line in lines if line.startswith(("flag billing", "nobody is moved", "y"))]


def test_a_file_of_the_older_generation_is_imported_as_such(terminal: Terminal) -> None:
    """As flagd's services deal it, though the file does not say which they are; and it says so when it is exported."""
    split = {"fractional": [["on", 50], ["off", 50]]}
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", "targeting": split}
    (terminal.directory / "flagd.json").write_text(json.dumps({"flags": {"look": flag}, "metadata": {"version": "7"}}))
    changed(terminal, "import", "flagd.json", "--fractional", "v2")
    assert terminal.run("flag", "show", "look", "--json").data["definition"]["fractional"] == "v2"
    document = json.loads(terminal.run("flag", "export", "look", "--format", "flagd").out)
    assert document["metadata"]["fractional"] == "v2"
    output = terminal.run("flag", "import", "flagd.json", "--fractional", "v3", *BECAUSE)
    assert (output.code, "the scheme of flag 'look' cannot change from 'v2' to 'v3'" in output.err) == (2, True)
    (terminal.directory / "ours.json").write_text(json.dumps({"flags": {"other": {"rollout": "5%"}}}))
    output = terminal.run("flag", "import", "ours.json", "--fractional", "v2", *BECAUSE)
    assert (output.code, "this is one of ours" in output.err) == (2, True)


def test_of_flags_of_a_file_it_is_said_whom_each_moves(grown: Terminal) -> None:
    """As a rollout says it; of very many the first are counted, in as many lines."""
    file = grown.directory / "flags.yaml"
    file.write_text("flags: {look: {rollout: 60%}, off: {}}")
    text = changed(grown, "import", "flags.yaml")
    [line] = [each for each in text.splitlines() if each.startswith("  look ")]
    assert line.startswith("  look  0 in, then ")
    assert line.endswith(" tenants, none leaves, none changes arm")
    assert "more flags" not in text
    assert "opens" not in text
    file.write_text("flags: {new-checkout: {rollout: 100%, narrows: [invoicing.recurring]}}")
    assert "  opens invoicing.recurring to all whose plan has it" in changed(grown, "import", "flags.yaml")
    many = {f"look-{number:02}": {"rollout": "100%"} for number in range(23)}
    file.write_text(json.dumps({"flags": {**many, "look": {"rollout": "0%"}}}))
    output = grown.run("flag", "import", "flags.yaml", *BECAUSE, "--json")
    lines = [each for each in output.err.splitlines() if " in, then " in each]
    assert (len(lines), output.data["uncounted"], len(output.data["forecasts"])) == (20, 4, 20)
    assert output.data["forecasts"][0]["leave"] > 0
    assert "and 4 more flags that may move somebody: of these nobody was counted" in output.err


def test_what_is_exported_is_imported_unchanged(grown: Terminal) -> None:
    """In each format of ours; and flagd's says the same buckets."""
    (grown.directory / "more.yaml").write_text(
        "flags: {look: {rollout: 5%}, near: {rules: [{when: {segment: indian}}]}}\nsegments: {indian: {country: IN}}"
    )
    changed(grown, "import", "more.yaml")
    for form in ("yaml", "json"):
        name = f"all.{form}"
        output = grown.run("flag", "export", "--format", form, "--out", name)
        assert f"written {name}: 3 flags of sqlite:///payaid.db" in output.out
        assert "nothing to do" in grown.run("flag", "import", name, *BECAUSE).out
    assert set(yaml.safe_load(grown.run("flag", "export").out)["flags"]) == {"look", "near", "new-checkout"}
    assert set(grown.run("flag", "export", "look", "--json").data["flags"]) == {"look"}
    written = grown.run("flag", "export", "look", "--out", "one.yaml", "--json").data
    assert written == {"file": "one.yaml", "flags": ["look"]}
    assert "1 flag of" in grown.run("flag", "export", "look", "--out", "one.yaml").out
    document = grown.run("flag", "export", "look", "--format", "flagd").data
    assert document["flags"]["look"]["state"] == "ENABLED"
    assert "fractional" in json.dumps(document["flags"]["look"]["targeting"])
    output = grown.run("flag", "export", "lok")
    assert (output.code, "did you mean 'look'" in output.err) == (2, True)


def test_what_is_replaced_by_nothing_is_the_catalogs_again(terminal: Terminal) -> None:
    """Though it says the same: what is published of it counts from then on."""
    changed(terminal, "set", "new-checkout", "on")
    changed(terminal, "set", "new-checkout", "--rules")
    assert terminal.run("flag", "list", "--json").data[0]["changed"]
    (terminal.directory / "none.json").write_text('{"flags": {}}')
    assert "as it was changed -> as the catalog has it" in changed(terminal, "import", "none.json", "--replace")
    assert not terminal.run("flag", "list", "--json").data[0]["changed"]


def test_without_segments_none_are_written(terminal: Terminal) -> None:
    assert set(terminal.run("flag", "export", "--json").data) == {"flags"}


def test_publishing_says_which_flags_are_changed_since(grown: Terminal) -> None:
    (grown.directory / "catalog.yaml").write_text(
        _example().replace("[5%, 25%, 50%, 100%]", "[6%, 100%]"), encoding="utf-8"
    )
    output = grown.run("catalog", "publish", *BECAUSE)
    assert output.code == 0, output.err
    assert (
        "flag new-checkout  changed since it was published -> stays so: what the catalog says of it does not count"
        in output.out
    )


def test_an_answer_is_explained_down_to_the_hash(grown: Terminal) -> None:
    """By what the host would say, too."""
    (grown.directory / "flags.yaml").write_text(
        "flags: {look: {rules: [{id: big, when: {country: IN, size: {gte: 50}}, serve: on}], rollout: 50%}}"
    )
    changed(grown, "import", "flags.yaml")
    text = grown.run("flag", "explain", "look", "kaveri").out
    assert "flag look: " in text
    assert "rule 'big': does not apply" in text
    assert "rule 'rollout': 50% are in" in text
    assert "murmur3(82646c6f6f6b666b6176657269) = " in text
    told = grown.run("flag", "explain", "look", "kaveri", "-a", "country=IN", "-a", "size=50", "--json").data
    assert (told["rule"], told["value"], told["identity"]) == ("big", True, "kaveri")
    assert grown.run("flag", "explain", "look", "kaveri", "--user", "mia", "--json").data["rule"] != "big"
    for wrong in ("country", "=IN", "country=["):
        output = grown.run("flag", "explain", "look", "kaveri", "-a", wrong)
        assert (output.code, "is no attribute; write country=IN" in output.err) == (2, True), wrong
    output = grown.run("flag", "explain", "lok", "kaveri")
    assert (output.code, "did you mean 'look'" in output.err) == (2, True)


def test_what_was_changed_while_somebody_read_is_not_overwritten(grown: Terminal, monkeypatch) -> None:
    """What was counted would not be what happens. The count goes on page by page."""
    asked = flag_changes.confirm

    def confirm(*arguments: Any, **named: Any) -> None:
        with Entitlements.open(grown.url) as other:
            other.admin("ravi").rollout("new-checkout", 90)
        asked(*arguments, **named)

    monkeypatch.setattr(flag_changes, "confirm", confirm)
    monkeypatch.setattr(flag_changes, "PAGE", 2)
    output = grown.run("flag", "rollout", "new-checkout", "60%", *BECAUSE)
    assert (output.code, "the flags are at revision 2, and you looked at 1" in output.err) == (1, True)
    assert grown.run("flag", "list", "--json").data[0]["state"] == "rollout: 90% get on"


def test_a_change_that_changes_nothing_is_said_to_be_none(grown: Terminal) -> None:
    assert "nothing was changed (change.unchanged)" in changed(grown, "rollout", "new-checkout", "25%")


@pytest.mark.parametrize(
    ("definition", "state"),
    [
        ("{enabled: false}", "not enabled"),
        ("{}", "off for everybody"),
        ("{variants: [red, blue]}", "no answer for everybody"),
        ("{targeting: {if: [{var: plan}, on]}}", "targeting of flagd"),
        (
            "{rollout: {schedule: [{percent: 5%}, {at: 2026-11-22T15:59:59Z, percent: 9%}]}}",
            "now at 9%: rollout: 5%, 9% from 2026-11-22T15:59:59Z get on",
        ),
        (
            "{rollout: {percent: 5%, approval: true}}",
            "pending at 0%: rollout: 5%, after approval get on",
        ),
    ],
)
def test_a_state_is_a_few_words(terminal: Terminal, definition: str, state: str) -> None:
    (terminal.directory / "flags.yaml").write_text(f"flags: {{look: {definition}}}")
    changed(terminal, "import", "flags.yaml")
    assert terminal.run("flag", "show", "look", "--json").data["state"] == state


def test_a_change_of_a_flag_is_undone_by_its_id_too(grown: Terminal) -> None:
    first = grown.changed("flag", "rollout", "new-checkout", "60%", "--because", "x")
    output = grown.run("undo", first, *BECAUSE)
    assert "flags new-checkout rollout  60% -> 25%" in output.out
    assert grown.run("flag", "list", "--json").data[0]["state"] == "rollout: 25% get on"
    changed(grown, "rollout", "new-checkout", "70%")
    again = grown.changed("flag", "rollout", "new-checkout", "80%", "--because", "x")
    assert grown.run("audit", "--feature", "new-checkout", "--json").data[-1]["change"] == again
    output = grown.run("undo", first, *BECAUSE)
    assert (output.code, "was changed since, by undo of" in output.err) == (1, True)


def test_what_looks_wrong_is_listed(grown: Terminal) -> None:
    """A lint is no error; a flag that names what is not there any more is."""
    output = grown.run("flag", "lint")
    assert (output.code, output.out, "nothing looks wrong" in output.err) == (0, "", True)
    (grown.directory / "flags.yaml").write_text("flags: {look: {rollout: 5%}}")
    changed(grown, "import", "flags.yaml")
    output = grown.run("flag", "lint")
    assert (output.code, "nobody is named" in output.out, "flag.no_owner" in output.out) == (0, True, True)
    (grown.directory / "bad.json").write_text(
        json.dumps({"flags": {"bad": {"state": "ENABLED", "variants": {"on": True}, "targeting": {"nothing": []}}}})
    )
    output = grown.run("flag", "import", "bad.json", *BECAUSE)
    assert output.code == 2


def test_so_many_lines_are_listed_and_errors_first(grown: Terminal) -> None:
    """What is left out counts for how it ends."""
    flags = {f"look-{number:02}": {"rollout": "5%"} for number in range(60)}
    (grown.directory / "flags.yaml").write_text(json.dumps({"flags": flags}))
    changed(grown, "import", "flags.yaml")
    output = grown.run("flag", "lint")
    assert (output.code, len(output.out.splitlines())) == (0, 51)
    assert output.out.splitlines()[-1] == "and 10 more; `--limit 60` lists them"
    assert len(grown.run("flag", "lint", "--limit", "60").out.splitlines()) == 60
    assert len(grown.run("flag", "lint", "--json").data) == 60
    base = sqlite3.connect(grown.directory / "payaid.db")
    with base:
        for name in ("y", "z"):
            path = f"$.catalog.flags.{name}"
            base.execute("""UPDATE payaid_catalog SET content = json_set(content, ?, json('{"a": 1}'))""", (path,))
    base.close()
    output = grown.run("flag", "lint", "--limit", "1")
    assert (output.code, output.out.startswith("error flags.y ")) == (1, True)
    assert "more, 1 of them errors; `--limit " in output.out
    assert grown.run("flag", "lint", "--limit", "0").code == 2


def _example() -> str:
    return (example_directory() / "catalog.yaml").read_text(encoding="utf-8")


def test_a_flag_that_another_release_has_published_is_shown_and_killed(grown: Terminal) -> None:
    """It is listed as broken, with why; export names it rather than to leave out what it says."""
    base = sqlite3.connect(grown.directory / "payaid.db")
    with base:
        base.execute(
            """UPDATE payaid_catalog SET content = json_set(content, '$.catalog.flags.old', json('{"rollout": 25}'))"""
        )
    base.close()
    listed = {each["flag"]: each["state"] for each in grown.run("flag", "list", "--json").data}
    assert listed["old"].startswith("broken: flags.old.rollout: write a percentage")
    output = grown.run("flag", "lint")
    assert (output.code, "flag.broken" in output.out, "flags.old.rollout" in output.out) == (1, True, True)
    assert grown.run("flag", "show", "old").code == 0
    assert "cannot be written" in grown.run("flag", "export").err
    assert grown.run("flag", "export", "new-checkout").code == 0
    assert "there is nothing to take back" in grown.run("flag", "undo", "old", *BECAUSE).err
    assert "cannot be read as it was published" in grown.run("flag", "rollout", "old", "5%", *BECAUSE).err
    changed(grown, "kill", "old")
    [killed] = [each["state"] for each in grown.run("flag", "list", "--json").data if each["flag"] == "old"]
    assert killed == "killed"
