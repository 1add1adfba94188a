"""Jump hosts as Ansible's inventory names them: followed like ssh does, or refused with what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from agent.inventory import jumps
from agent.inventory.jumps import Spec
from agent.inventory.snapshot import Snapshot, of_answer
from agent.model.host import Connection, Host

COMMON, EXTRA = "ansible_ssh_common_args", "ansible_ssh_extra_args"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("-J none", ()),
        ("-o ProxyCommand=none", ()),
        ("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null", ()),
        ("-i -J -4", ()),
        ("-J bastion", (Spec(host="bastion"),)),
        ("-Jbastion", (Spec(host="bastion"),)),
        ("-4C -J gate@bastion.example.org:2222", (Spec(host="bastion.example.org", user="gate", port=2222),)),
        ("-J ssh://gate@bastion:2222/", (Spec(host="bastion", user="gate", port=2222),)),
        ("-J [2001:db8::1]:2222", (Spec(host="2001:db8::1", port=2222),)),
        ("-J a@one:1,b@two:2, three", None),
        ("-J a@one:1,b@two:2,three", (Spec(host="one", user="a", port=1), Spec(host="two", user="b", port=2), Spec(host="three"))),
        ("-o ProxyJump=bastion", (Spec(host="bastion"),)),
        ("-oproxyjump=bastion:22", (Spec(host="bastion", port=22),)),
        ("-o 'ProxyJump bastion'", (Spec(host="bastion"),)),
        ("-o 'ProxyJump = gate@bastion'", (Spec(host="bastion", user="gate"),)),
        ("-o ProxyJump=first -J second", (Spec(host="first"),)),
        ("-J 'bad host'", None),
        ("-J bastion:0", None),
        ("-J bastion:70000", None),
        ("-J '$(id)'", None),
        ("-J -oProxyCommand=x", None),
        ("-J -x", None),
        ("-J", None),
        ("-J 'unbalanced", None),
        ("-Z x", None),
        ("-J bastion target", None),
        ("-o ProxyCommand='ssh -W %h:%p -q gate@bastion'", None),
    ],
)  # fmt: skip
def test_what_ssh_would_take_for_jump_hosts(text: str, found: tuple[Spec, ...] | None) -> None:
    for name in (COMMON, EXTRA):
        if found is None:
            with pytest.raises(jumps.NoWayError, match=name):
                jumps.specs({name: text})
        else:
            assert jumps.specs({name: text}) == found


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({COMMON: "-o ProxyCommand='ssh -W %h:%p gate@bastion'"}, "write -J user@host:port instead"),
        ({COMMON: "-J one", EXTRA: "-J two"}, "write it once"),
        ({"ansible_ssh_args": "-C -J one"}, "write it into ansible_ssh_common_args"),
    ],
)
def test_what_cannot_be_followed_says_what_to_write(variables: dict[str, str], words: str) -> None:
    with pytest.raises(jumps.NoWayError, match=words):
        jumps.specs(variables)


def snapshot(**hosts: dict[str, Any]) -> Snapshot:
    told = {name: {"groups": [], "variables": variables} for name, variables in hosts.items()}
    answer = {"hosts": told, "patterns": {name: [name] for name in hosts}, "faults": {}, "groups": ["all"]}
    return of_answer(answer, frozenset(hosts), Path("/srv/keeper"))


BASTION = {
    "ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "gate", "ansible_ssh_private_key_file": "keys/gate",
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "hop"),
    [
        ("bastion", ("bastion", "192.0.2.1", 2222, "gate", "/srv/keeper/keys/gate")),
        ("me@bastion:22", ("bastion", "192.0.2.1", 22, "me", "/srv/keeper/keys/gate")),
        ("192.0.2.1:2222", ("192.0.2.1", "192.0.2.1", 2222, "gate", "/srv/keeper/keys/gate")),
        ("192.0.2.1", ("192.0.2.1", "192.0.2.1", 22, None, None)),
        ("me@elsewhere", ("elsewhere", "elsewhere", 22, "me", None)),
        ("near", ("near", "near", 22, None, None)),
    ],
)
def test_a_jump_host_of_the_inventory_logs_in_as_it_says_there(spec: str, hop: tuple[Any, ...]) -> None:
    found = snapshot(
        bastion=BASTION, near={"ansible_connection": "local"}, web={COMMON: f"-J {spec}", "ansible_user": "root"}
    )
    name, address, port, user, key_file = hop
    assert found.hosts["web"].jumps == (
        Host(name=name, address=address, port=port, user=user, key_file=key_file, connection=Connection.SSH),
    )
    assert found.hosts["bastion"].jumps == ()


def test_a_host_whose_way_cannot_be_told_spoils_the_patterns_that_mean_it() -> None:
    found = snapshot(web={COMMON: "-o ProxyCommand=nc"}, well={})
    assert "has a ProxyCommand" in found.problems["web"].replace("have", "has")
    assert found.patterns == {"well": ("well",)}
    assert "web" not in found.hosts


def test_this_machine_needs_no_way() -> None:
    assert snapshot(here={"ansible_connection": "local", COMMON: "-J bastion"}).hosts["here"].jumps == ()
