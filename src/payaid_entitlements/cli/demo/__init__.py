"""`payaid demo`: the example app, really running, driven over HTTP through a story."""
