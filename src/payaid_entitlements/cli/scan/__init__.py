"""`payaid catalog scan`: where code compares plans by hand, and how the keys that it asks for agree with a catalog."""
