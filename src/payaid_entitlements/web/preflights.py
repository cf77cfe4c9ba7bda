"""
Whether a preflight passes: the question of a browser whether it may send what a script wants, which it asks without
credentials (WHATWG Fetch section 4.8).

The rule, for all frameworks: it is asked about as any other request is, unless what answers it is known to run nothing
that is guarded. Whatever looks like a preflight is written by anybody, and many handlers do not look at the method: a
plain app, a function view of Django. So it passes

- to Starlette's own middleware for CORS, where that stands directly inside: it answers each, and hands none on (here);
- to the OPTIONS that Flask answers itself (`payaid_entitlements.web.flask.visiting`);
- to the OPTIONS of Django's own `View`, and of REST framework's (`payaid_entitlements.web.django.mixins`, ``rest``).

Directly, since what is between may make another request of it, as for ``X-HTTP-Method-Override``. What answers
preflights stands best outside, where nobody is asked: there its fields are on refusals as well, which a script could
not read without.
"""

from __future__ import annotations

import sys

from payaid_entitlements.web.request import Incoming


def passes(incoming: Incoming, app: object) -> bool:
    """Is it a preflight, and does *app*, an ASGI app, answer it without running anything that is guarded?"""
    if incoming.method != "OPTIONS" or not all(map(incoming.header, ("origin", "access-control-request-method"))):
        return False
    # Whoever has put that middleware there has imported it: we need not.
    if "starlette.middleware.cors" not in sys.modules:
        return False
    from payaid_entitlements.web.starlette.walking import answers_preflights

    return answers_preflights(app)
