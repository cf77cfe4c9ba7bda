"""Write a module of typed keys, so that a misspelt key is an error before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.written.keyspace import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payaid_entitlements.core.catalog.model import Catalog

_HEAD: Final = '''\
"""Keys of the catalog. Written by `payaid catalog types`; do not edit, write it again."""

from __future__ import annotations

from typing import Final
'''


def keys_module(catalog: Catalog) -> str:
    """
    Write the text of ``keys.py`` for *catalog*.

    Modules, features and flags, which share one space of keys, are constants of the module:
    ``CRM_EXPORT: Final = "crm.export"``. Plans, add-ons and rate limits are constants of a class
    each: ``Plans.STARTER``. The same catalog gives the same text, and only its keys count.
    """
    parts = [_HEAD]
    sections: tuple[tuple[str, Iterable[str]], ...] = (
        ("Modules", catalog.modules),
        ("Features", catalog.features),
        ("Flags", catalog.flags),
    )
    for title, keys in sections:
        if keys:
            parts.append(f"\n# {title}\n" + "".join(_constants(keys, "")))
    classes: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("Plans", "Keys of plans, cheapest first.", catalog.plans),
        ("AddOns", "Keys of add-ons.", catalog.add_ons),
        ("RateLimits", "Keys of rate limits.", catalog.rate_limits),
    )
    for name, title, keys in classes:
        if keys:
            parts.append(f'\n\nclass {name}:\n    """{title}"""\n\n' + "".join(_constants(keys, "    ")))
    return "".join(parts)


def _constants(keys: Iterable[str], indent: str) -> Iterable[str]:
    # Confusable keys are refused when a catalog is read, so no two constants have one name.
    return (f'{indent}{folded(key).upper()}: Final = "{key}"\n' for key in keys)
