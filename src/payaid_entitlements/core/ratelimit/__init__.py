"""Rate limits: how often, where a quota says how much. Pure: the stores of their counters are behind a port."""
