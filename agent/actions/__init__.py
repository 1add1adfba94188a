"""One file per way to change something."""
