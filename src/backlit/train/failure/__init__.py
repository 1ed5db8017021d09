"""When a step fails: the way back to before it, what is written down, and where it began."""
