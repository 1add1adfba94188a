"""The things that run: the pipeline, the desk, the gates, the daemon."""
