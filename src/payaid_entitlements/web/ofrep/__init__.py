"""
Flags for browsers, phones and other languages: a server of the OpenFeature Remote Evaluation Protocol, OFREP 0.3.0.

An ASGI app to mount beside the host's own; it needs no framework. Official clients ask it.
"""

from payaid_entitlements.web.ofrep.caller import Caller
from payaid_entitlements.web.ofrep.serving import app

__all__ = ["Caller", "app"]
