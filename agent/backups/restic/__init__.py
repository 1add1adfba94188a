"""What every engine that saves by restic shares: calls and their outcomes, manifests, comparison, sandboxes."""
