"""Carries out orders about a tree that lies ready: make room, look, lay it over the real one, clear; one answer each.

It runs on this machine and, sent there as text (`program.py`), on hosts of which only a Python 3.7 is asked.
"""

# ruff: noqa: PTH102, PTH103, PTH111 - names may be any bytes, and a Path would tidy them up
from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from typing import IO, Any  # Python 3.7 on the other side

from agent.backups.putting import entries, way
from agent.backups.putting.layer import Layer


def main() -> None:
    """Do what the first line of stdin orders; the answer is one line of JSON."""
    os.umask(0o077)
    order = json.loads(sys.stdin.readline())
    try:
        answer = _done(order, sys.stdin)
    except OSError as error:
        answer = {"refused": str(error.filename or order["do"]) + ": " + str(error.strerror)}
    print(json.dumps(answer))  # noqa: T201  its very answer


def _done(order: dict[str, Any], lines: IO[str]) -> dict[str, Any]:
    if order["do"] == "room":
        return room(order)
    if order["do"] == "look":
        return _look(order, lines)
    if order["do"] == "lay":
        return _lay(order)
    shutil.rmtree(order["stage"], ignore_errors=True)
    return {}


def room(order: dict[str, Any]) -> dict[str, Any]:
    """Make a private folder for what is to come, and say how much it may hold."""
    top = order.get("base") or _base()
    os.makedirs(top, 0o700, exist_ok=True)
    seen = os.lstat(top)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        return {"refused": top + " is not ours alone"}
    stage = top + "/stage-" + order["name"]
    shutil.rmtree(stage, ignore_errors=True)
    os.mkdir(stage, 0o700)
    free = os.statvfs(stage)
    return {"stage": stage, "keep": top + "/kept/" + order["name"], "free": free.f_bavail * free.f_frsize}


def _base() -> str:
    """Where we keep what is ours on a host: root's, or in the home of who we are."""
    return "/var/lib/watchkeeper" if os.geteuid() == 0 else os.path.expanduser("~/.watchkeeper")


def _look(order: dict[str, Any], lines: IO[str]) -> dict[str, Any]:
    layer = Layer(order["root"], "", os.geteuid() == 0)
    for line in lines:
        entry = entries.described(line)
        if entry.kind not in entries.SKIPPED:
            layer.look(entry)
    layer.others(order["sources"])
    return layer.answer()


def _lay(order: dict[str, Any]) -> dict[str, Any]:
    """Look at everything first: where anything is in the way, nothing is touched."""
    root, stage = order["root"], order["stage"]
    if root != "/":
        way.make(root)
    owners = os.geteuid() == 0
    looked = Layer(root, order["keep"], owners)
    for entry in entries.walk(stage, order["sources"]):
        looked.look(entry)
    if looked.counts["faults"]:
        return dict(looked.answer(), touched=False)
    layer = Layer(root, order["keep"], owners, frozenset(order["holey"]))
    for source in order["sources"]:
        for path in way.above(source):
            if not os.path.lexists(root.rstrip("/") + path):
                layer.lay(entries.staged(stage, path))
    for entry in entries.walk(stage, order["sources"]):
        layer.lay(entry)
    layer.finish()
    return dict(layer.answer(), touched=True)
