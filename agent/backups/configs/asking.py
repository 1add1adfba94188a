"""Asks a device for its configuration over a session of its own, under the pins and through the jump hosts as always."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.backups import Job, Setting
from agent.clock import Deadline
from agent.closed import SecretRef
from agent.errors import InputError, OutputLimitError, TransportError
from agent.model.device import Device
from agent.model.host import Connection, Host
from agent.transports.device import device_pool
from agent.transports.framing import TOO_MUCH
from agent.transports.openssh import Login, Route
from agent.transports.ssh import SshPool

MOST_BYTES = 16_000_000  # of a configuration; the largest firewalls have some megabytes
MOST_SECONDS = 300.0  # of one command: the slowest devices take minutes
LOGIN, ENABLE = "login:password", "login:enable"  # no names that a secret can have


class Line:
    """A session on one device."""

    def __init__(self, pool: SshPool, host: Host, deadline: Deadline) -> None:
        self._pool, self._host, self._deadline = pool, host, deadline

    def prompt(self) -> str:
        """What the device shows when it waits; whatever comes before it is part of it."""
        return self._ask("")

    def run(self, command: str) -> str:
        """What the device prints for a command, up to its prompt."""
        return self._ask(command)

    def _ask(self, command: str) -> str:
        seconds = min(self._deadline.remaining_seconds(), MOST_SECONDS)
        soon = Deadline.after(self._deadline.clock, seconds)
        (section,) = self._pool.run_batch(self._host, [(command, seconds)], soon)
        if section.exit_code == TOO_MUCH:
            raise OutputLimitError(
                f"{self._host.name} sent {section.text}", hint="is that a configuration? see `command`"
            )
        if section.timed_out:
            raise TransportError(
                f"{self._host.name} did not come to an end in time",
                hint="give it a longer timeout, or look at the device",
            )
        return section.text


@contextmanager
def session(job: Job, setting: Setting) -> Iterator[Line]:
    """A line to the job's device, opened at the first question."""
    host = _host(job, setting)
    pool = device_pool(Path(_route(job).known_hosts), setting.deadline.clock, _reveal, most_bytes=MOST_BYTES)
    try:
        yield Line(pool, host, setting.deadline)
    finally:
        pool.close()


def _route(job: Job) -> Route:
    if job.route is None:
        raise InputError(
            f"{job.host} is no network device", hint="set ansible_connection: network_cli in the inventory"
        )
    return job.route


def _host(job: Job, setting: Setting) -> Host:
    way, device = _route(job), job.device or Device()
    told = {"ansible_password": setting.secrets.get(LOGIN), "ansible_become_password": setting.secrets.get(ENABLE)}
    return Host(
        name=job.host, address=way.host.address, port=way.host.port, user=way.host.user, key_file=way.host.key_file,
        connection=Connection.NETWORK_CLI, become=device.become, jumps=tuple(map(_hop, way.hops)),
        variables={"ansible_network_os": device.network_os, **{name: value for name, value in told.items() if value}},
    )  # fmt: skip


def _hop(login: Login) -> Host:
    return Host(
        name=login.name, address=login.address, port=login.port, user=login.user, key_file=login.key_file,
        connection=Connection.SSH,
    )  # fmt: skip


def _reveal(reference: SecretRef) -> str:
    raise InputError(f"secret {reference.secret} was not handed over", hint="this is a fault of the agent")
