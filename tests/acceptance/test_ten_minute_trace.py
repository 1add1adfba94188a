"""The README's trace from YAML to incident: its files exist, and one failing check passes through them in its order."""

import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from agent.app import Builder
from agent.model.look import Verdict
from agent.runtime.agent import Agent
from agent.store import incidents, journal
from tests.acceptance.world import HERE, TOP, World

SECTION = "## From YAML to incident in ten minutes"
KEY = "shop/checks/front@here"


def trace() -> str:
    """The section of the README."""
    return (TOP / "README.md").read_text(encoding="utf-8").partition(SECTION)[2].partition("\n## ")[0]


def steps() -> list[str]:
    """The first program that each numbered step names."""
    found = [re.search(r"`(agent/[\w/]+\.py)`", line) for line in re.findall(r"^\d+\. .*$", trace(), re.MULTILINE)]
    return [step[1] for step in found if step]


def test_every_file_that_the_trace_names_is_there() -> None:
    named = re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", trace())
    assert len(named) > 10
    assert [name for name in named if not (TOP / name).exists()] == []


class Shut(BaseHTTPRequestHandler):
    """A shop that is shut."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as its parent calls it
        pass


@contextlib.contextmanager
def shut_shop() -> Iterator[int]:
    """The port of a web server that is up and has nothing to give."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shut) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def walking(files: list[str]) -> Iterator[list[str]]:
    """Notes in which order these files are first asked for something; what they do among themselves does not count."""
    paths = {str(TOP / name): name for name in files}
    seen: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        name = paths.get(frame.f_code.co_filename)
        if event == "call" and name is not None and name not in seen and not frame.f_code.co_name.startswith("_"):
            seen.append(name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def one_tick(agent: Agent) -> None:
    """What the daemon does with a check that is due, step by step."""
    agent.scheduler.adopt(agent.book.policies.checks.values(), soon=[KEY])
    [(host, due)] = agent.scheduler.take()
    assert (host, [check.key for check in due]) == ("here", [KEY])
    (result,) = await agent.pipeline.watch(agent.book.policies.hosts["here"], due)
    assert result.look.metrics["status"] == 503
    await agent.recorder.flush()
    assert await agent.dispatcher.round() == 1


def test_ten_minute_trace(world: World) -> None:
    """YAML → load → expand → scheduler → pipeline → http → story → desk → sink: one look, one incident, one line."""
    with shut_shop() as port:
        world.hosts({"here": {**HERE, "shop_port": port}})
        front = {"http": {"url": "http://127.0.0.1:{{ shop_port }}/", "expect": {"status": [200]}}}
        world.policy("shop", checks={"front": front})
        Builder(world.config).agent(migrate=True).close()  # all is imported now
        with walking(steps()) as walked:
            agent = Builder(world.config).agent(migrate=True)
            try:
                asyncio.run(one_tick(agent))
                state = agent.book.state(KEY)
                with agent.store.read() as reader:
                    incident = incidents.open_of(reader, KEY)
                    lines = [line.entry.kind for line in journal.lines(reader)]
            finally:
                agent.close()
    assert walked == steps()
    assert state.hard is Verdict.CRITICAL
    assert incident is not None
    assert "503" in incident.why
    assert lines[-2:] == ["check", "incident-opened"]
    (told,) = world.filed()
    assert (told["event"], told["incident"]["number"]) == ("opened", incident.number)
