"""Going through a record gate by gate: where the walk stands, and the full screen that shows it."""
