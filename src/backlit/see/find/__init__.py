"""What went wrong, found: missing gradients, bad numbers, models that do not learn."""
