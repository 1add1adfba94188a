"""What follows from a reading of a device's configuration: a line of the journal, an incident, or its end."""

import dataclasses
import json

from agent.clock import MICROSECONDS, Clock
from agent.model.backup import Backup
from agent.model.decision import Decision
from agent.model.decision import Verb as Deed
from agent.model.device import Baseline, Revision
from agent.model.incident import Incident, IncidentState
from agent.model.journal import Entry
from agent.model.look import Verdict
from agent.practices import calendar
from agent.practices import drift as practice
from agent.practices.drift import Judgement, Verb
from agent.runtime.book import Book
from agent.runtime.desk import AGENT, Desk
from agent.store import incidents, journal, memories
from agent.store.memories import Row
from agent.store.tx import Reader, Tx

REOPENS_SECONDS = 1800.0  # the same drift so soon after its incident ended is the same incident


class Drift:
    """Follows the configurations of devices; one incident per device at most."""

    def __init__(self, clock: Clock, book: Book, desk: Desk) -> None:
        self._clock = clock
        self._book = book
        self._desk = desk

    def follow(self, tx: Tx, backup: Backup, seen: Revision) -> None:
        """Record a reading and what follows from it, in the transaction that ends its execution."""
        known, cause = baseline(tx, backup.key), cause_of(backup)
        incident = incidents.open_of(tx, cause)
        since_us = known.read_at_us if known is not None else seen.at_us
        windows = self._book.policies.windows
        window = calendar.change_window(windows, backup.service, backup.host, since_us, seen.at_us)
        judged = practice.judge(known, seen, reaction=backup.drift, window=window, has_incident=incident is not None)
        self._perform(tx, backup, seen, judged, incident)
        memories.write(tx, [_row(backup.key, judged.baseline, self._clock)])

    def _perform(self, tx: Tx, backup: Backup, seen: Revision, judged: Judgement, incident: Incident | None) -> None:
        if judged.verb is not Verb.NOTHING:
            self._note(tx, backup, seen, judged)
        if judged.verb is Verb.OPEN:
            self._open(tx, backup, judged)
        elif incident is not None and judged.verb is Verb.WORSEN:
            self._desk.tell(tx, incident, "comment", judged.why)
        elif incident is not None and judged.verb in {Verb.SETTLE, Verb.ACCEPT}:
            self._desk.resolve(tx, incident, judged.why)

    def _open(self, tx: Tx, backup: Backup, judged: Judgement) -> None:
        cause = cause_of(backup)
        last = incidents.last_of(tx, cause)
        if last is not None and last.state is IncidentState.RESOLVED and self._was_just_now(last):
            self._desk.reopen(tx, last, judged.why, episode=last.episode + 1)
            return
        self._desk.open(
            tx,
            cause=cause,
            title=f"{backup.host} was changed outside a window for changes",
            decided=Decision(verb=Deed.OPEN, why=judged.why, severity=Verdict.WARNING),
            owner=backup.owner,
        )

    def _was_just_now(self, incident: Incident) -> bool:
        ended = incident.resolved_at_us
        return ended is not None and self._clock.now() - ended <= REOPENS_SECONDS * MICROSECONDS

    def _note(self, tx: Tx, backup: Backup, seen: Revision, judged: Judgement) -> None:
        journal.append(
            tx,
            Entry(
                actor=AGENT, kind=f"config-{judged.verb}", object_type="config", object_id=backup.key, why=judged.why,
                body={"host": backup.host, "commit": seen.commit, "content": seen.content, "lines": list(seen.lines)},
                policy_generation=self._book.generation,
            ),
        )  # fmt: skip


def cause_of(backup: Backup) -> str:
    """The cause of a device's drift; that of the backup's age is the key itself."""
    service, _, name = backup.item.split("/")
    return f"{service}/drift/{name}@{backup.host}"


def cause_of_key(key: str) -> str:
    """The same, of a key whose backup may be gone."""
    return key.replace("/backups/", "/drift/", 1)


def memory_of(key: str) -> str:
    """Under which name it is kept what is known of a device."""
    return f"{key}#config"


def baseline(reader: Reader, key: str) -> Baseline | None:
    """What is known of a device's configuration; None before it was read."""
    row = memories.get(reader, memory_of(key))
    if row is None:
        return None
    values = json.loads(row.document)
    return Baseline(**{**values, "drift_lines": tuple(values["drift_lines"])})


def _row(key: str, known: Baseline, clock: Clock) -> Row:
    text = json.dumps(dataclasses.asdict(known))
    return Row(key=memory_of(key), digest="", boot_id=clock.boot_id, at_us=clock.now(), document=text)
