"""Puts restored files back in their places, here or on a host: looked at first, nothing deleted, no link followed."""
