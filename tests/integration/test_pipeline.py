"""The pipeline on a real store and a real inventory: what was about to be asked is asked, whatever came in between."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.app import Builder
from agent.errors import StoreError
from agent.model.state import Phase
from agent.runtime.agent import Agent

KEY = "shop/checks/broken@here"
FILES = {
    "config.yaml": "{version: 1, name: watch-test, owner: on-watch, teams: {on-watch: {members: []}}}",
    "inventory/hosts.yml": "all: {hosts: {here: {ansible_connection: local}}}",
    "playbooks/mend.yml": "[{hosts: all, gather_facts: false, tasks: []}]",
    "policies/shop.yaml": """
version: 1
service: shop
hosts: here
checks:
  broken: {command: {command: exit 2}, fail_after: 1, remedy: mend}
remedies:
  mend: {playbook: mend.yml, risk: safe, mode: auto}
""",
    "var/kill-switch": "",
}


class Full:
    """The disk is full when a remedy is to be written down for the first time."""

    def __init__(self) -> None:
        self.times = 1

    def __call__(self, point: str) -> None:
        if point == "before-intent" and self.times:
            self.times -= 1
            raise StoreError("database or disk is full", hint="make room")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    built = Builder(tmp_path / "config.yaml", failpoint=Full()).agent(migrate=True)
    yield built
    built.close()


def test_a_remedy_that_could_not_be_asked_for_is_asked_for_with_the_next_result(agent: Agent) -> None:
    """Else the host stays broken until the agent is started anew, and nobody is told why nothing is done."""

    def phase() -> Phase | None:
        climb = agent.book.state(KEY).climb
        return None if climb is None else climb.phase

    async def looked() -> None:
        check = agent.book.policies.checks[KEY]
        await agent.pipeline.watch(agent.book.policies.hosts["here"], [check])

    with pytest.raises(StoreError):
        asyncio.run(looked())
    assert phase() is Phase.ASKED
    asyncio.run(looked())
    assert phase() is Phase.REFUSED, "by the kill switch, which is on"
