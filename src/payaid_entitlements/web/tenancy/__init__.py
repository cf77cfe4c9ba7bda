"""Whose request it is: places that name a tenant, which of them are believed, and a rule for when they disagree."""

from payaid_entitlements.web.tenancy.agreeing import Tenancy, finder_of
from payaid_entitlements.web.tenancy.certificates import mtls
from payaid_entitlements.web.tenancy.fields import header
from payaid_entitlements.web.tenancy.logins import api_key, by, claim, environ, session, state, user
from payaid_entitlements.web.tenancy.places import path, subdomain
from payaid_entitlements.web.tenancy.proofs import shared_secret, trusted_networks
from payaid_entitlements.web.tenancy.source import Source

__all__ = [
    "Source",
    "Tenancy",
    "api_key",
    "by",
    "claim",
    "environ",
    "finder_of",
    "header",
    "mtls",
    "path",
    "session",
    "shared_secret",
    "state",
    "subdomain",
    "trusted_networks",
    "user",
]
