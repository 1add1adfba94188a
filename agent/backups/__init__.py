"""One file per backup engine."""
