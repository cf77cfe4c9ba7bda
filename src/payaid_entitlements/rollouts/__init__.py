"""Measuring rollouts: what requests came to, counted in this process and added up with what others have counted."""
