"""What a job must know of a network device beside the way to it: its platform, its login, and whether somebody watches."""

from collections.abc import Mapping

from agent.backups.configs.asking import ENABLE, LOGIN
from agent.closed import SecretRef
from agent.model.backup import Backup
from agent.model.device import Device
from agent.model.execution import Execution
from agent.model.host import Connection, Host
from agent.model.policy import PolicySet
from agent.practices import calendar
from agent.runtime.desk import AGENT
from agent.secrets import Secrets

_LOGINS = (
    (LOGIN, ("ansible_password", "ansible_ssh_pass")),
    (ENABLE, ("ansible_become_password", "ansible_become_pass")),
)


def told(policies: PolicySet, backup: Backup, execution: Execution) -> Device | None:
    """The device behind a backup; None when its host is none."""
    host = policies.hosts[backup.host]
    if host.connection is not Connection.NETWORK_CLI:
        return None
    now_us = execution.intent_at_us
    window = calendar.change_window(policies.windows, backup.service, backup.host, now_us, now_us)
    return Device(
        network_os=str(host.variables.get("ansible_network_os") or ""),
        become=host.become,
        why=f"{execution.number}: {execution.why}",
        is_watched=execution.actor != AGENT or bool(window),
    )


def login(host: Host, secrets: Secrets) -> Mapping[str, str]:
    """The passwords of a device, by names that no secret has; a reference becomes its value here."""
    if host.connection is not Connection.NETWORK_CLI:
        return {}
    found = {name: _variable(host, variables, secrets) for name, variables in _LOGINS}
    return {name: value for name, value in found.items() if value is not None}


def _variable(host: Host, names: tuple[str, ...], secrets: Secrets) -> str | None:
    value = next((host.variables[name] for name in names if host.variables.get(name) not in (None, "")), None)
    if isinstance(value, Mapping) and set(value) == {"secret"}:
        return secrets.resolve(SecretRef(secret=str(value["secret"])))
    return None if value is None else str(value)
