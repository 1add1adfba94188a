"""The examinations of `doctor`: each looks at one thing this machine needs, and says how to mend it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.cli.wording import local, plural, span
from agent.clock import MICROSECONDS, Deadline
from agent.errors import SecretError, StoreError, ToolError, WatchkeeperError

if TYPE_CHECKING:
    from agent.cli.context import Parts
    from agent.clock import Clock
    from agent.model.policy import PolicySet

PROGRAM_SECONDS = 30.0
SCARCE_BYTES = 1_000_000_000  # below this a night's backup may not find room


class Finding(NamedTuple):
    """What one examination found: `ok`, `warn` or `fail`, about what, in words, and how to mend it."""

    state: str
    subject: str
    says: str
    mend: str = ""


Findings = Iterator[Finding]
Told = Callable[[int, int], None]  # how many of how many hosts have been asked


def everything(parts: "Parts", told: Told = lambda _done, _of: None) -> Findings:
    """All examinations; those that need the policies are left out when these cannot be loaded."""
    clock = parts.clock()
    try:
        path, loaded = parts.config_path(), parts.load()
    except WatchkeeperError as error:
        yield from tools(clock)
        yield Finding("fail", "config", str(error), error.hint)
        return
    yield from tools(clock, loaded.policies.config.backups.restic if loaded.policies is not None else "")
    yield from _files(path, [str(problem) for problem in loaded.problems])
    if loaded.policies is None:
        return
    yield from _lending(loaded.policies, clock)
    yield from unread(loaded.policies)
    yield from _folders(loaded.policies)
    yield from _secrets(loaded.policies)
    yield from _playbooks(loaded.policies)
    yield from _store(loaded.policies.config.state, clock)
    yield from _looks(loaded.policies, clock)
    yield _descriptors(loaded.policies, clock)
    yield from _hosts(loaded.policies, clock, told)


def tools(clock: "Clock", own_restic: str = "") -> Findings:
    """The programs that we call, and their versions; `own_restic` is the one that config.yaml names, if it does."""
    from agent.backups.restic.version import parse_version

    def restic(text: str) -> str:
        return f"restic {'.'.join(map(str, parse_version(text)))}{f', as {own_restic}' if own_restic else ''}"

    ansible = str(Path(sys.executable).parent / "ansible-playbook")
    install = "apt-get install restic (0.14 or newer)"
    correct = f"correct `backups: {{restic: …}}` in config.yaml, or take it out and {install}"
    known: tuple[tuple[str, list[str], Callable[[str], str], str], ...] = (
        ("restic", [own_restic or "restic", "version"], restic, correct if own_restic else install),
        ("ansible", [ansible, "--version"], _first_line, "pip install ansible-core, beside this program"),
        ("ssh", ["ssh", "-V"], _first_line, "apt-get install openssh-client"),
        ("git", ["git", "--version"], _first_line, "apt-get install git"),
    )
    for name, argv, read, mend in known:
        yield _tool(name, argv, read, mend, clock)


def _tool(name: str, argv: list[str], read: Callable[[str], str], mend: str, clock: "Clock") -> Finding:
    from agent.transports import local as machine

    try:
        done = machine.run(argv, deadline=Deadline.after(clock, PROGRAM_SECONDS))
        if done.exit_code:
            return Finding("fail", name, f"ends with {done.exit_code}: {_first_line(done.stderr)}", mend)
        return Finding("ok", name, read(done.stdout or done.stderr))
    except ToolError as error:
        return Finding("fail", name, str(error), mend)


def _lending(policies: "PolicySet", clock: "Clock") -> Findings:
    """What lends a repository to a host whose own restic saves it; nobody else needs it."""
    if any(getattr(backup.options, "run_from", "") == "host" for backup in policies.backups.values()):
        yield _tool("rclone", ["rclone", "version"], _first_line, "apt-get install rclone", clock)


def unread(policies: "PolicySet") -> Findings:
    """Repositories of copies that nothing ever reads again: drills restore from the first one."""
    copies = {one.name: one for backup in policies.backups.values() for one in backup.copies}
    for name in sorted(name for name, one in copies.items() if one.check is None):
        yield Finding(
            "warn", name, "copies lie there, and nothing reads them again: a file that is lost or rotten stays unseen",
            f"in config.yaml: repositories: {name}: check: {{every: sunday at 08:00}}",
        )  # fmt: skip


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _files(path: Path, problems: list[str]) -> Findings:
    found = path.stat()
    if found.st_mode & 0o022:
        yield Finding("warn", "config", f"{path} can be written by others", f"chmod go-w {path}")
    if problems:
        yield Finding(
            "fail", "policies", f"{plural(len(problems), 'error')}, first: {problems[0]}", "watchkeeper validate"
        )
    else:
        yield Finding("ok", "policies", f"{path} and all that it names is sound")


def _folders(policies: "PolicySet") -> Findings:
    import shutil

    state = policies.config.state
    if not state.exists():
        yield Finding("warn", "state", f"{state} does not exist yet", "it is made by: watchkeeper run")
        return
    if state.stat().st_mode & 0o077:
        yield Finding("fail", "state", f"others can look into {state}", f"chmod 700 {state}")
    free = shutil.disk_usage(state).free
    state_word = "ok" if free > SCARCE_BYTES else "warn"
    yield Finding(
        state_word, "space", f"{free / 1e9:.1f} GB are free in {state}", "" if state_word == "ok" else "make room"
    )


def _secrets(policies: "PolicySet") -> Findings:
    from agent.secrets import Secrets

    folder = policies.config.secrets
    names = named_secrets(policies)
    if names and folder.exists() and folder.stat().st_mode & 0o022:
        yield Finding("fail", "secrets", f"others can write to {folder}", f"chmod 700 {folder}")
    broken = 0
    for name in names:
        try:
            Secrets(folder).get(name)
        except SecretError as error:
            broken += 1
            yield Finding("fail", "secrets", str(error), error.hint)
    if names and not broken:
        yield Finding("ok", "secrets", f"{', '.join(names)}: there, and readable by their owner alone")


def named_secrets(policies: "PolicySet") -> list[str]:
    """Every secret that the policies name, wherever."""
    around = [one for backup in policies.backups.values() for one in (backup.prepare, backup.cleanup) if one]
    steps = [step for recovery in policies.recoveries.values() for step in recovery.steps]
    told = [dict(one.variables) for one in policies.remedies.values()]
    told += [dict(one.variables) for one in around] + [dict(step.variables) for step in steps]
    return sorted({name for one in policies.config.repositories.values() for name in one.secrets}.union(
        *(_references(one.options) for one in policies.config.sinks),
        *(_references(one.options) for one in policies.checks.values()),
        *(_references(one.options) for one in policies.backups.values()),
        *map(_references, told),
    ))  # fmt: skip


def _references(value: Any) -> set[str]:
    from pydantic import BaseModel

    from agent.closed import SecretRef

    if isinstance(value, SecretRef):
        return {value.secret}
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, dict):
        if set(value) == {"secret"} and isinstance(value["secret"], str):
            return {value["secret"]}
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {name for inner in value for name in _references(inner)}
    return set()


def _playbooks(policies: "PolicySet") -> Findings:
    from agent.actions.playbook import exists

    names = sorted({remedy.playbook for remedy in policies.remedies.values()})
    missing = [name for name in names if not exists(policies.config.playbooks, name)]
    for name in missing:
        yield Finding("fail", "playbooks", f"there is no {name}", f"put it into {policies.config.playbooks}")
    if names and not missing:
        yield Finding("ok", "playbooks", f"{plural(len(names), 'playbook')} of remedies, all there")


def _store(state: Path, clock: "Clock") -> Findings:
    from agent.store import chain, folder, journal, owners
    from agent.store.engine import Store

    if not (state / folder.DATABASE_NAME).exists():
        yield Finding("warn", "store", "there is none yet: the agent never ran here", "watchkeeper run --once")
        return
    try:
        store = Store.open(state, clock, migrate=False)
    except StoreError as error:
        yield Finding("fail", "store", str(error), error.hint)
        return
    try:
        store.quick_check()
        with store.read() as reader:
            last = journal.lines(reader, after=journal.head(reader).seq - 1)
    except StoreError as error:
        yield Finding("fail", "store", str(error), error.hint)
        return
    finally:
        store.close()
    yield Finding("ok", "store", "the database is whole")
    found = chain.verify(state)
    if found.ok:
        yield Finding("ok", "journal", f"{plural(found.rows, 'line')}, every hash as it was written")
    else:
        yield Finding("fail", "journal", found.why, "watchkeeper audit verify; then restore the state from a backup")
    yield from _time(last[-1].recorded_at_us if last else 0, clock)
    daemon = owners.running(state, clock)
    if daemon is None:
        yield Finding("warn", "daemon", "none runs: nothing is watched", "watchkeeper run")
    else:
        yield Finding("ok", "daemon", f"pid {daemon.pid}, since {local(daemon.started_at_us)}")


def _time(last_us: int, clock: "Clock") -> Findings:
    ahead = (last_us - clock.now()) / MICROSECONDS
    if ahead > 2:
        says = f"it shows {local(clock.now())}, and the journal's last line is {span(ahead)} ahead: it was set back"
        yield Finding("fail", "clock", says, "set the clock right; see: timedatectl")
    else:
        yield Finding("ok", "clock", f"{local(clock.now())}, after the journal's last line; boot {clock.boot_id[:8]}")


def _looks(policies: "PolicySet", clock: "Clock") -> Findings:
    from agent.cli import lateness
    from agent.store import folder
    from agent.store.engine import Store

    if not (policies.config.state / folder.DATABASE_NAME).exists():
        return
    try:
        store = Store.open(policies.config.state, clock, migrate=False)
    except StoreError:
        return  # told already
    try:
        with store.read() as reader:
            found, slow = lateness.last_minute(reader, clock), lateness.slow_hosts(reader, policies, clock)
    finally:
        store.close()
    if found is not None:
        late = lateness.is_late(found)
        yield Finding("warn" if late else "ok", "looks", *lateness.told(found, slow))


def _descriptors(policies: "PolicySet", clock: "Clock") -> Finding:
    from agent.runtime import descriptors
    from agent.store import owners

    daemon = owners.running(policies.config.state, clock)
    limit = (descriptors.limit_of(daemon.pid) if daemon else None) or descriptors.most()
    return of_descriptors(limit, sum(check.kind == "reach" for check in policies.checks.values()))


def of_descriptors(limit: int, hosts: int) -> Finding:
    """What a limit of open files means for so many hosts that are reached over a transport."""
    from agent.runtime import descriptors

    needed = descriptors.needed(hosts)
    says = f"the daemon may have {limit:,} open; {plural(hosts, 'remote host')} may need {needed:,}"
    if limit >= needed:
        return Finding("ok", "files", says)
    mend = f"systemctl edit watchkeeper: [Service] LimitNOFILE={max(65_536, 2 * needed)}; or ulimit -n"
    return Finding("fail", "files", says, mend)


def _hosts(policies: "PolicySet", clock: "Clock", told: Told) -> Findings:
    from agent.cli import reaching
    from agent.model.host import Connection

    near = sum(host.connection is Connection.LOCAL for host in policies.hosts.values())
    if near:
        yield Finding("ok", "hosts", f"{plural(near, 'host')} on this machine")
    with reaching.Lines(policies, clock) as lines:
        questions = lines.questions()
        for answer in reaching.ask(questions, told):
            yield Finding("ok" if answer.is_there else "fail", "hosts", answer.says, answer.mend)
    silent = len(policies.hosts) - near - len({one.host for one in questions}.intersection(policies.hosts))
    if silent:
        yield Finding("ok", "hosts", f"{plural(silent, 'host')} that nothing logs in to")
