"""
`payaid explain --reference`: what was said, beside what was true then and what is true now.

A reference carries no id, only a fingerprint: the tenant is found by looking through those that are known.
"""

from __future__ import annotations

from typing import NoReturn

import typer

from payaid_entitlements.cli import REFUSED
from payaid_entitlements.cli.audit import as_data
from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.cli.opening import Opened, opened
from payaid_entitlements.cli.printing import console, emit, escape, grid
from payaid_entitlements.cli.progress import counting
from payaid_entitlements.cli.times import shown, stamp
from payaid_entitlements.core.explanation import Explanation
from payaid_entitlements.core.instant import MICROSECONDS, Instant, moment
from payaid_entitlements.core.reference import Reference, read_reference
from payaid_entitlements.stores.ports import AuditEntry

#: Changes since then that are listed.
_MOST = 20


def explain_reference(text: str, tenant: str | None, url: str | None, *, as_json: bool) -> None:
    """
    Read *text* and show it beside the truth.

    Args:
        tenant: Whose it may be, so that nobody has to be looked for; None to look.

    Raises:
        BadParameter: *text* is no reference.
        Ending: It is about nobody, or nothing, that is known here.
    """
    try:
        said = read_reference(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; copy it as it is in the refusal's body") from None
    with opened(url) as store:
        whose = _whose(store, said, tenant)
        feature = _feature(store, said)
        then = _then(store, said, whose, feature)
        now = store.ent.explain(whose, feature)
        since = list(store.store.audit(tenant=whose, since=said.said_at, limit=_MOST))
        if as_json:
            emit(_as_data(said, whose, feature, then, now, since))
        else:
            _show(store, said, whose, feature, then, now, since)


def found_tenant(store: Opened, said: Reference) -> str | None:
    """Find whose reference it is; None when it is nobody's who is known. Looks through all tenants."""
    with counting("looking whose it is") as done:
        for row in store.tenants():
            done(1)
            if said.is_tenant(row.tenant):
                return row.tenant
    return None


def _whose(store: Opened, said: Reference, tenant: str | None) -> str:
    if tenant is not None:
        return tenant if said.is_tenant(tenant) else _nobody(f"the reference is not about {tenant!r}")
    found = found_tenant(store, said)
    if found is None:
        _nobody(
            "no tenant that is known here has this reference; was it another database? "
            "For a tenant of whom nothing was ever recorded: payaid explain TENANT --reference ..."
        )
    return found


def _nobody(sentence: str) -> NoReturn:
    raise Ending(sentence, code=REFUSED)


def _feature(store: Opened, said: Reference) -> str:
    catalog = store.published().catalog
    found = said.feature_among([*catalog.modules, *catalog.features, *catalog.retired])
    return _nobody("the catalog has no module or feature that this reference is about") if found is None else found


def _then(store: Opened, said: Reference, tenant: str, feature: str) -> Explanation:
    """
    What was true then.

    The reference says the second, not the instant: of its beginning and its end the one that agrees is shown.
    """
    last: Instant = min(said.said_at + MICROSECONDS - 1, store.now)
    for at in (last, said.said_at):
        explanation = store.ent.explain(tenant, feature, at=moment(at))
        if said.reason in _reasons(explanation):
            return explanation
    return store.ent.explain(tenant, feature, at=moment(last))


def _reasons(explanation: Explanation) -> tuple[object, ...]:
    read = () if explanation.read is None else (explanation.read.reason,)
    return (explanation.decision.reason, *read)


def _judged(said: Reference, then: Explanation) -> str:
    """What said and truth have to do with one another, in a sentence."""
    if said.reason in _reasons(then):
        return "what was said was true"
    if said.age >= 1:
        return f"what was said was not true any more: it came from a copy about {said.age:.0f} s old"
    return "what was said differs from what is known of that moment today: facts or the catalog came later"


def _show(
    store: Opened,
    said: Reference,
    tenant: str,
    feature: str,
    then: Explanation,
    now: Explanation,
    since: list[AuditEntry],
) -> None:
    zone = store.zone(tenant)
    out = console()
    same = said.reason in _reasons(then)
    reason = "a reason that this version does not know" if said.reason is None else said.reason.value
    catalog = "the catalog of today" if then.catalog.startswith(said.catalog) else f"another catalog, {said.catalog}"
    out.print(f"[bold]{escape(tenant)}[/] / [bold]{escape(feature)}[/]  [dim]{escape(store.store.name)}[/]")
    table = grid("", "when", "answer", "from")
    table.add_row(
        "[bold]said[/]",
        shown(said.said_at, zone),
        f"[red]{reason}[/]",
        f"revision {said.revision}, {_age(said)}, {catalog}",
    )
    for name, each in (("true then", then), ("true now", now)):
        word = "[green]allowed[/]" if each.decision.allowed else "[red]refused[/]"
        answer = f"{word} {each.decision.reason.value} [dim]{escape(each.decision.source)}[/]"
        table.add_row(f"[bold]{name}[/]", shown(each.at, zone), answer, f"revision {each.revision}")
    out.print(table)
    out.print(f"  [{'green' if same else 'yellow'}]{_judged(said, then)}[/]")
    for entry in since:
        because = f": {entry.because}" if entry.because else ""
        out.print(
            f"  since then: {shown(entry.recorded, zone)} {escape(entry.verb)} by {escape(entry.actor + because)}"
        )
    out.print(f"  [dim]every rule: payaid explain {tenant} {feature} --at {moment(said.said_at):%Y-%m-%dT%H:%M:%SZ}[/]")


def _age(said: Reference) -> str:
    return "just read" if said.age < 0.5 else f"about {said.age:.1f} s old"


def _as_data(
    said: Reference, tenant: str, feature: str, then: Explanation, now: Explanation, since: list[AuditEntry]
) -> dict[str, object]:
    return {
        "tenant": tenant,
        "feature": feature,
        "said": {
            "at": stamp(said.said_at),
            "reason": None if said.reason is None else said.reason.value,
            "revision": said.revision,
            "age_seconds": said.age,
            "catalog": said.catalog,
        },
        "then": then.to_json(),
        "now": now.to_json(),
        "was_true": said.reason in _reasons(then),
        "judged": _judged(said, then),
        "since": [as_data(entry) for entry in since],
    }
