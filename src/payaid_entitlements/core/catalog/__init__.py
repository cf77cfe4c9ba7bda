"""The catalog: what is sold, as people write it and as the rules read it."""
