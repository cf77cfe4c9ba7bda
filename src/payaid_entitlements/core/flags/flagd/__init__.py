"""
flagd's JSON: flags that other OpenFeature services share, read into ours and written from them.

`load` reads a file, `validate` tells what is wrong with one, `dump` writes flags of ours so that flagd answers as we
do, or says which it cannot.
"""

from payaid_entitlements.core.flags.flagd.exporting import dump
from payaid_entitlements.core.flags.flagd.loading import FlagDocument, load, validate

__all__ = ["FlagDocument", "dump", "load", "validate"]
