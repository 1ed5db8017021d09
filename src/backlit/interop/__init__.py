"""What do the files of others hold? Readers of formats that Backlit itself does not write."""
