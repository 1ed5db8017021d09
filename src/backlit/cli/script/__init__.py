"""What `backlit run` does with a script beside running it: compiles its step, shows its first."""
