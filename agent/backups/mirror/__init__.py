"""Pulls a remote host's files into a mirror on this machine, from which restic saves them; the target trusts nothing, and is not trusted."""
