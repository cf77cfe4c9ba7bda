"""Greenlets that switch between tenants at every question; ends with 0 when each is asked about its own."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import random  # noqa: E402 # only what is imported behind it is patched
import sys  # noqa: E402

import gevent  # noqa: E402

from payaid_entitlements import Entitlements, current_tenant, require_module  # noqa: E402
from payaid_entitlements.web.wsgi import EntitlementsMiddleware  # noqa: E402

SOLD = {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}


@require_module("crm")
def who() -> str:
    """Ask, and let others run."""
    gevent.sleep(0)
    return current_tenant().tenant


def app(environ, start_response):
    """Asks twice, and while its body is read."""
    seen = [who(), who()]
    start_response("200 OK", [])

    def body():
        yield " ".join(seen).encode()
        yield f" {who()}".encode()

    return body()


def main(switches: int) -> int:
    """Serve so many requests in ten greenlets."""
    with Entitlements.open("memory://", catalog=SOLD) as ent:
        wrapped = EntitlementsMiddleware(app, ent, tenant=lambda environ: environ["who"])

        def requests(number: int) -> int:
            chance = random.Random(number)
            wrong = 0
            for _ in range(switches // 10):
                tenant = f"tenant-{chance.randrange(20)}"
                environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", "who": tenant}
                body = wrapped(environ, lambda status, headers, *more: None)
                text = b"".join(body).decode()
                if hasattr(body, "close"):
                    body.close()
                wrong += text.split() != [tenant] * 3
            return wrong

        jobs = [gevent.spawn(requests, number) for number in range(10)]
        gevent.joinall(jobs, raise_error=True)
        return sum(job.value for job in jobs)


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]))))
