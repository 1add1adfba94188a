"""How many files the daemon may have open at once: a kept connection to each host, and what looks need besides."""

import resource
from pathlib import Path

MARGIN = 768  # looks under way with a socket or two, the database, the logs, children's pipes


def raise_limit() -> int:
    """Raise this process's soft limit to its hard one (setrlimit(2)); the limit that holds then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most() -> int:
    """What this process could raise its limit to."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def limit_of(pid: int) -> int | None:
    """The limit of another process (proc(5)); None when that cannot be told."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[3] for line in lines if line.startswith("Max open files ")]
    return int(found[0]) if found and found[0].isdigit() else None


def needed(hosts: int) -> int:
    """How many so many hosts with kept connections need at most."""
    return hosts + MARGIN
