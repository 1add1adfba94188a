"""What is run on hosts to look at them: rendered once per check, and known by its hash before it is sent anywhere."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from agent.checks import offers, recalls
from agent.model.check import Check, RunFrom

_MOST = 100_000  # scripts kept at once; beyond, they are rendered anew


class Scripts:
    """The scripts of a set of probes. Belongs to one thread, but for `digests`."""

    def __init__(self, probes: Mapping[str, type]) -> None:
        self._probes: Mapping[str, Any] = probes
        self._kept: dict[str, tuple[object, str]] = {}  # by check: the options it was rendered from, and the script
        self._texts: dict[str, str] = {}  # hosts of one policy share theirs

    def of(self, check: Check, *recalled: Any) -> str:
        """The script of a check; where the probe takes its last memory, that is part of it."""
        if recalled:
            return self._rendered(check, *recalled)
        kept = self._kept.get(check.key)
        if kept is not None and kept[0] is check.options:
            return kept[1]
        if len(self._kept) >= _MOST:
            self._kept.clear()
            self._texts.clear()
        script = self._rendered(check)
        shared = self._texts.setdefault(script, script)
        self._kept[check.key] = check.options, shared
        return shared

    def digests(self, checks: Iterable[Check]) -> dict[str, str]:
        """For each kind of check that runs a script on its host, one hash (SHA-256, hexadecimal) over all of its scripts.

        With this in the journal anybody can tell later what ran on the hosts under these policies; a probe that goes on
        from where it was is pinned as it begins.
        """
        found: dict[str, set[str]] = {}
        for check in checks:
            probe = self._probes.get(check.kind)
            if probe is not None and check.run_from is RunFrom.HOST and offers(probe, "script"):
                found.setdefault(check.kind, set()).add(self._rendered(check, *((None,) if recalls(probe) else ())))
        return {
            kind: hashlib.sha256("\0".join(sorted(scripts)).encode(errors="surrogateescape")).hexdigest()
            for kind, scripts in sorted(found.items())
        }

    def _rendered(self, check: Check, *recalled: Any) -> str:
        script: str = self._probes[check.kind].script(check.options, *recalled)
        return script
