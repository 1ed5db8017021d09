"""A record shown: step by step, path by path, drawn, explained."""
