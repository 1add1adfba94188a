"""Revisions: never edited after a release; yesterday's code must run on today's schema."""
