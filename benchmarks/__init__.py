"""
What it costs: every promise about speed, memory and growth, measured against a baseline in the same run.

``python -m benchmarks`` from the root of the project. Absolute times swing with the machine; ratios do not.
"""
