"""What a targeting of flagd hashes, for those who explain it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.flags.closures import Closures
from payaid_entitlements.core.flags.distributing import ends_of
from payaid_entitlements.core.flags.jsonlogic.reading import read
from payaid_entitlements.core.flags.nodes import Distribute
from payaid_entitlements.core.flags.walking import walk

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.context import FlagContext
    from payaid_entitlements.core.flags.model import Flag

#: So many are told; nobody reads more.
MOST: Final = 10


def hashed(flag: Flag, context: FlagContext) -> Iterator[tuple[bytes, list[int]]]:
    """
    Give the bytes that each ``fractional`` hashes for *context*, and where its arms end, exclusive.

    Also those that were not asked, since something before them decided; not those that deal to nobody.

    Args:
        flag: With a targeting that can be evaluated.
    """
    closures = Closures({}, flag.key, element=False)
    nodes = walk(read(flag.targeting, flag=flag.key, scheme=flag.scheme))
    told = 0
    for node in nodes:
        if isinstance(node, Distribute) and told < MOST:
            material = closures.material(node)(context)
            ends = ends_of([weight(context) for weight in closures.weights(node)])
            if material is not None and ends is not None:
                told += 1
                yield material, ends
