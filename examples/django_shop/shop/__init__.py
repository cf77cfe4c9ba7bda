"""An app that sells things, and is itself sold by modules."""
