"""Drift on record: the journal, one incident per device, its end by evidence or by a person, and what is known of a device."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.model.backup import Backup
from agent.model.device import Reaction, Revision
from agent.model.incident import Incident, IncidentState
from agent.runtime.book import Book
from agent.runtime.desk import Desk
from agent.runtime.drift import Drift, baseline, cause_of, cause_of_key
from agent.store import incidents, journal
from agent.store.engine import Store
from tests.fakes import policies

POLICY = """version: 1
service: net
hosts: switches
backups:
  configs: {device_config: {}, every: 1h, drift: incident}
windows:
  long-ago: {kind: change, start: 2020-01-01, end: 2020-01-02}
"""
KEY = "net/backups/configs@sw-1"
CAUSE = "net/drift/configs@sw-1"
EPOCH_US = 1_577_900_000_000_000  # 2020-01-01, within the window


@dataclasses.dataclass
class Scene:
    """A store, a policy in force, and readings of its device."""

    store: Store
    desk: Desk
    drift: Drift
    backup: Backup
    before: str = ""

    def read(self, content: str, at_us: int, reaction: Reaction = Reaction.INCIDENT) -> None:
        """A reading of the device; whatever it says, on record."""
        line = f"+says {content}"
        seen = Revision(
            content=content, commit=f"c-{content}", at_us=at_us, before=self.before, since=f"c-{self.before}",
            added=1, lines=(line,),
        )  # fmt: skip
        with self.store.write() as tx:
            self.drift.follow(tx, dataclasses.replace(self.backup, drift=reaction), seen)
        self.before = content

    def incidents(self) -> list[Incident]:
        with self.store.read() as reader:
            return [one for one in incidents.listing(reader) if one.cause == CAUSE]

    def kinds(self) -> list[str]:
        """What the journal says of the device."""
        with self.store.read() as reader:
            return [line.entry.kind for line in journal.lines(reader, object_id=KEY)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = policies.load_with(policies.new_home(tmp_path / "home"), {"net.yaml": POLICY})
    assert found.policies is not None, found.problems
    clock = SystemClock()
    store = Store.open(tmp_path / "state", clock, migrate=True)
    book = Book(store)
    book.adopt(found.policies, 1)
    desk = Desk(store, clock, book)
    yield Scene(store, desk, Drift(clock, book, desk), found.policies.backups[KEY])
    store.close()


NOW = 1_795_400_000_000_000


def test_a_drift_is_one_incident_that_ends_by_evidence_and_comes_back_under_its_number(scene: Scene) -> None:
    assert cause_of(scene.backup) == cause_of_key(KEY) == CAUSE
    for number, content in enumerate("aabbc"):
        scene.read(content, NOW + number)
    (one,) = scene.incidents()
    assert (one.state, one.host, one.service, one.owner) == (IncidentState.OPEN, "sw-1", "net", "web-team")
    assert "+says b" in one.why
    with scene.store.read() as reader:
        told = [entry.text for entry in incidents.timeline(reader, one.id)]
    assert len(told) == 2, "once for each change, and not for each reading"
    assert "+says c" in told[-1]
    scene.read("a", NOW + 9)
    (one,) = scene.incidents()
    assert one.state is IncidentState.RESOLVED
    assert "as it was accepted again" in one.resolution
    scene.read("d", NOW + 10)
    (again,) = scene.incidents()
    assert (again.number, again.episode, again.state) == (one.number, 2, IncidentState.OPEN)


def test_what_a_person_resolves_is_accepted(scene: Scene) -> None:
    scene.read("a", NOW)
    scene.read("b", NOW + 1)
    with scene.store.write() as tx:
        scene.desk.resolve(tx, scene.incidents()[0], "meant so", actor="ada")
    scene.read("b", NOW + 2)
    with scene.store.read() as reader:
        known = baseline(reader, KEY)
    assert known is not None
    assert (known.accepted, known.drifted) == ("b", "")
    assert [one.state for one in scene.incidents()] == [IncidentState.RESOLVED]


def test_a_note_is_a_line_of_the_journal_and_is_remembered(scene: Scene) -> None:
    scene.read("a", NOW, Reaction.NOTE)
    scene.read("b", NOW + 1, Reaction.NOTE)
    scene.read("b", NOW + 2, Reaction.NOTE)
    assert scene.kinds() == ["config-accept", "config-note"]
    with scene.store.read() as reader:
        known = baseline(reader, KEY)
    assert known is not None
    assert (known.drift_at_us, known.drift_lines, known.drifted) == (NOW + 1, ("+says b",), "")
    assert not scene.incidents()


def test_a_change_within_a_window_is_none(scene: Scene) -> None:
    scene.read("a", EPOCH_US)
    scene.read("b", EPOCH_US + 1)
    assert scene.kinds() == ["config-accept", "config-accept"]
    assert not scene.incidents()
