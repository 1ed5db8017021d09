"""Training steps of Backlit beside those of other frameworks, timed in one run."""
