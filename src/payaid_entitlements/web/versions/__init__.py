"""Versions of an API: how they are asked for, which routes are there in which, and how each of them ends."""

from payaid_entitlements.web.versions.asking import Place, header, media_type, path, query
from payaid_entitlements.web.versions.choosing import ApiVersions, Chosen
from payaid_entitlements.web.versions.current import current_version
from payaid_entitlements.web.versions.ranges import Range
from payaid_entitlements.web.versions.version import Version

__all__ = [
    "ApiVersions",
    "Chosen",
    "Place",
    "Range",
    "Version",
    "current_version",
    "header",
    "media_type",
    "path",
    "query",
]
