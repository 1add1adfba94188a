"""The child's answer as hosts, and what is wrong with a pattern."""

from pathlib import Path
from typing import Any

import pytest

from agent.inventory.snapshot import of_answer
from agent.model.host import Connection, Host

HOME = Path("/srv/keeper")


def answer(variables: dict[str, Any], name: str = "web") -> dict[str, Any]:
    """An inventory with one host."""
    host = {"groups": ["front"], "variables": variables}
    return {"hosts": {name: host}, "patterns": {"all": [name]}, "faults": {}, "groups": ["all", "front"]}


def host(variables: dict[str, Any]) -> Host:
    """One host with these variables."""
    return of_answer(answer(variables), frozenset({"all"}), HOME).hosts["web"]


def test_a_host_is_reached_over_ssh_by_its_name_unless_told_otherwise() -> None:
    assert host({}) == Host(name="web", address="web", connection=Connection.SSH, groups=("front",))


def test_what_ansible_is_told_of_a_host_is_taken() -> None:
    found = host(
        {
            "ansible_host": "192.0.2.1", "ansible_port": "2222", "ansible_user": "watch", "ansible_become": "yes",
            "ansible_connection": "ansible.builtin.ssh", "ansible_ssh_private_key_file": "keys/web",
        }
    )  # fmt: skip
    assert (found.address, found.port, found.user, found.become) == ("192.0.2.1", 2222, "watch", True)
    assert (found.connection, found.key_file) == (Connection.SSH, "/srv/keeper/keys/web")


def test_variables_are_at_hand_and_never_shown() -> None:
    found = host({"token": "hush"})
    assert found.variables["token"] == "hush"
    assert found.variables["ansible_host"] == "web"
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("variables", "name", "message"),
    [
        (
            {"ansible_connection": "winrm"},
            "web",
            "its ansible_connection 'winrm' is not known here (known: local, ssh, network_cli)",
        ),
        ({"ansible_port": "ssh"}, "web", "its ansible_port 'ssh' is not a port"),
        ({"ansible_port": 70000}, "web", "its ansible_port '70000' is not a port"),
        ({"ansible_host": "-oProxyCommand=x"}, "web", "is not an address"),
        ({}, "none", "this name cannot be addressed"),
        ({}, "a@b", "this name cannot be addressed"),
        ({}, "a/b", "this name cannot be addressed"),
    ],
)
def test_a_host_that_cannot_be_used_spoils_the_patterns_that_mean_it(
    variables: dict[str, Any], name: str, message: str
) -> None:
    found = of_answer(answer(variables, name), frozenset({"all"}), HOME)
    assert found.patterns == {}
    assert message in found.problems["all"]


def test_a_pattern_that_means_nothing_is_told_with_what_was_meant() -> None:
    told = answer({}) | {"faults": {"fornt": "Could not match supplied host pattern, ignoring: fornt"}}
    found = of_answer(told, frozenset({"fornt", "all"}), HOME)
    assert found.problems == {
        "fornt": "matches nothing: the inventory has no host or group 'fornt'; did you mean 'front'?"
    }
    assert found.patterns == {"all": ("web",)}


def test_the_digest_follows_hosts_variables_and_what_patterns_mean() -> None:
    digests = {
        of_answer(told, frozenset({"all"}), HOME).digest
        for told in (answer({}), answer({"a": 1}), answer({}, "db"), answer({}) | {"patterns": {"all": []}})
    }
    assert len(digests) == 4


@pytest.mark.parametrize("pattern", [",", " ", ":", "~", "["])
def test_a_slip_of_the_finger_is_not_the_whole_fleet(pattern: str) -> None:
    """Ansible takes these for all hosts."""
    told = answer({}) | {"patterns": {pattern: ["web"]}}
    assert of_answer(told, frozenset({pattern}), HOME).problems == {pattern: "is not a host pattern"}
