"""
Flags beside what is sold: what can only be told with a whole catalog at hand.

What a flag is and what it answers is for `payaid_entitlements.core.flags`, which knows no catalog.
"""
