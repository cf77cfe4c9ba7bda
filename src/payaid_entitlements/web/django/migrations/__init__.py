"""So that Django has nothing to make: the model has no table. Our tables have migrations of our own."""
