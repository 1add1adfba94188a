"""The way from one FRR configuration to another, as the playbook that brings a router back finds it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STEPS = Path(__file__).resolve().parents[2] / "playbooks" / "frr" / "steps"
HEAD = "Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\nhostname r1\n!\n"
BGP = """\
router bgp 64512
 neighbor 192.0.2.2 remote-as 64513
 neighbor 192.0.2.2 password HIDE
 !
 address-family ipv4 unicast
  network 10.0.0.0/8
 exit-address-family
exit
!
"""


def way(running: str, stored: str) -> dict[str, Any]:
    """What the program answers."""
    asked = json.dumps({"running": f"r1# show run\n{HEAD}{running}end\nr1# ", "stored": f"hostname r1\n{stored}end\n"})
    done = subprocess.run([sys.executable, str(STEPS)], input=asked, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("running", "stored", "commands"),
    [
        ("", "", []),
        (BGP, BGP, []),
        ("", "ip route 10.0.0.0/8 Null0\n", ["ip route 10.0.0.0/8 Null0"]),
        ("ip route 10.0.0.0/8 Null0\n", "", ["no ip route 10.0.0.0/8 Null0"]),
        ("no ip forwarding\n", "ip forwarding\n", ["ip forwarding", "ip forwarding"]),
        ("password b\n", "password a\n", ["no password", "password a"]),
        (BGP, "", ["no router bgp 64512"]),  # with all that is in it
        (
            BGP.replace("10.0.0.0/8", "10.1.0.0/16"),
            BGP,
            [
                "router bgp 64512", "address-family ipv4 unicast", "no network 10.1.0.0/16", "exit", "exit",
                "router bgp 64512", "address-family ipv4 unicast", "network 10.0.0.0/8", "exit", "exit",
            ],
        ),
        ("", "interface lab0\nexit\n!\nhostname r2\n", ["interface lab0", "exit", "hostname r2"]),
    ],
)  # fmt: skip
def test_the_way_from_what_runs_to_what_is_stored(running: str, stored: str, commands: list[str]) -> None:
    told = way(running, stored)["commands"].splitlines()
    assert told == (["configure terminal", *commands, "end"] if commands else [])


def test_what_is_shown_of_it_has_no_secrets() -> None:
    found = way("", BGP)
    assert "HIDE" in found["commands"]
    assert "HIDE" not in json.dumps(found["shown"])
    assert found["shown"][0] == "+ router bgp 64512"
