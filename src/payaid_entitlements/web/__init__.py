"""The edge: refusals as problem documents, and one gate for each framework."""
