"""Ten thousand looks at devices that cut, page, colour and lie, by a seed: was what git keeps whole? Run by hand.

python -m benchmarks.campaigns.device_polls >benchmarks/campaigns/device_polls.json
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.backups.configs.history import History
from agent.backups.configs.reading import Configuration, content_of
from agent.clock import NANOSECONDS, SystemClock
from tests.fakes.device_polls import polled
from tests.unit.backups.recorded import PRINTED

LOOKS = int(os.environ.get("LOOKS", "10000"))
SEED = int(os.environ.get("SEED", "20261123"))


def campaign() -> dict[str, Any]:
    """Poll, keep, and read every commit again."""
    clock = SystemClock()
    begun_ns = clock.boottime()
    with tempfile.TemporaryDirectory() as folder:
        history, whole = History(Path(folder), clock), set[str]()

        def keep(host: str, found: Configuration) -> None:
            whole.add(found.content)
            last = history.last(host)
            if last is None or last.text != found.shown:
                with history.writing():
                    history.commit(host, found.shown, f"{host}: changed\n\nit is due\n")

        count = polled(PRINTED, LOOKS, SEED, keep)
        commits = {host: history.commits(host) for host in history.hosts()}
        torn = [
            one.id
            for host, found in commits.items()
            for one in found
            if content_of(history.text_at(host, one.id)) not in whole
        ]
        fsck = subprocess.run(["git", "-C", str(history.folder), "fsck", "--strict"], capture_output=True, check=False)
    return {
        "looks": count.looks,
        "seed": SEED,
        "platforms": len(PRINTED),
        "kept": count.kept,
        "commits": sum(map(len, commits.values())),
        "refused": dict(sorted(count.refused.items())),
        "healthy_looks_refused": count.missed,
        "bad_commits": len(count.bad) + len(torn),
        "bad_if_kept_as_returned": count.naive,
        "fsck": fsck.returncode,
        "seconds": round((clock.boottime() - begun_ns) / NANOSECONDS, 1),
    }


if __name__ == "__main__":
    found = campaign()
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["bad_commits"] or found["healthy_looks_refused"] or found["fsck"]))
