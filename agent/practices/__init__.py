"""Decisions only: values in, values out."""
