"""Variables of a play as data: which names are refused, and values written so that Ansible never evaluates them.

Extra variables win over everything in Ansible, and their strings are templates: one named
`ansible_ssh_common_args` runs a program on this machine, one named `inventory_hostname` sends the play to another
host, and a value with `{{ lookup('pipe', …) }}` runs what it likes. Hence the names below and the tag `!unsafe`.
"""

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PREFIXES = ("ansible_", "inventory_", "role_")
# What Ansible knows as keywords of plays, blocks and tasks, and puts into every template (ansible-core 2.19;
# a test compares with ansible.vars.reserved, and with the names that ansible.vars.manager sets itself).
RESERVED = frozenset(
    """
    action always any_errors_fatal args async async_val become become_exe become_flags become_method become_user block
    changed_when check_mode collections connection debugger delay delegate_facts delegate_to diff environment fact_path
    failed_when force_handlers gather_facts gather_subset gather_timeout handlers hosts ignore_errors ignore_unreachable
    listen local_action loop loop_control loop_with max_fail_percentage module_defaults name no_log notify order poll
    port post_tasks pre_tasks register remote_user rescue retries roles run_once serial strategy tags tasks throttle
    timeout until vars vars_files vars_prompt when with_
    cycler dict joiner lipsum lookup namespace now omit q query range undef
    delegated_vars group_names groups hostvars item play_hosts playbook_dir vars
    and as block call else elif embed extends false filter for from if import in include is loop macro none not or
    recursive self set true varargs caller kwargs with without
    """.split()  # noqa: SIM905  # read as a text it stays readable
)


def check_names(variables: Mapping[str, Any]) -> list[str]:
    """The refused names among these, each with its reason; empty when all may be handed to Ansible."""
    return [f"{name}: {reason}" for name in variables if (reason := _refusal(name))]


def _refusal(name: str) -> str:
    if not _NAME.match(name):
        return "a variable's name has only letters, digits and underscores, and no digit first"
    lowered = name.lower()
    for prefix in _PREFIXES:
        if lowered.startswith(prefix):
            return f"names that begin with {prefix} steer Ansible itself"
    if lowered in RESERVED or keyword.iskeyword(name):
        return "this word means something to Ansible"
    return ""


def as_yaml(variables: Mapping[str, Any]) -> bytes:
    """A YAML document that is `!unsafe` as a whole: every text in it reaches the hosts as the text that it is.

    Not every text by itself: Ansible (2.19) types a scalar tagged `!unsafe` anew, and makes True of "yes", 10 of "012"
    and null of "".
    """
    return ("--- !unsafe\n" + _yaml(variables) + "\n").encode()


def _yaml(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return f'!!int "{value}"'
    if isinstance(value, float) and math.isfinite(value):
        return f'!!float "{value!r}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"? {_quoted(str(name))} : {_yaml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(inner) for inner in value) + "]"
    raise TypeError(f"{type(value).__name__} is no plain value")


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xD800 <= code < 0xE000:
        raise ValueError("half a character: this text is not Unicode")
    if letter in '"\\':
        return "\\" + letter
    if 0x20 <= code < 0x7F:
        return letter
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def texts(value: Any) -> Iterator[str]:
    """All strings inside a plain value, keys included."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
