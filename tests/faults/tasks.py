"""Tasks of Celery with guards, for a worker with processes of its own: the broker and the results are folders."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery, Task

from payaid_entitlements import Entitlements, consume_quota, current_tenant, require_feature, require_module
from tests.faults.apps import CATALOG

HERE = Path(os.environ.get("APP_BROKER", "."))

app = Celery("tests.faults.tasks", broker="filesystem://", backend=f"file://{HERE / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(HERE / "queue"),
    "data_folder_out": str(HERE / "queue"),
    "control_folder": str(HERE / "control"),
}
app.conf.worker_hijack_root_logger = False

ent = Entitlements.open(os.environ.get("APP_URL", "memory://"), catalog=CATALOG)


@app.task(bind=True, max_retries=3, default_retry_delay=0)
@require_module("crm", tenant="org_id")
@consume_quota("crm.calls", 2, operation="call:{self.request.id}")
def call(self: Task[..., object], org_id: str, fails: int) -> str:
    """Use up two calls, once however often it is tried; it fails so often before."""
    if self.request.retries < fails:
        raise self.retry()
    return current_tenant().tenant


@app.task(throws=(Exception,))
@require_feature("crm.export", tenant="org_id")
def export(org_id: str) -> str:
    """What nobody is sold here."""
    return org_id
