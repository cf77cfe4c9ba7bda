"""
Pages of Django's admin site about tenants: what one holds and why, and exceptions made by hand.

For a site of your own: ``site.register(Tenant, TenantPages)``. Django's permissions ``payaid.view_tenant`` and
``payaid.change_tenant`` say who may look and who may change; who changes is in our audit trail.
"""
