"""Secrets are taken out of configurations: none is left, a changed one is seen to change, nothing else is touched."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backups.configs import gate, hiding, platforms
from agent.backups.configs.gate import Expected
from agent.backups.configs.hiding import hidden
from agent.backups.configs.platforms import PLATFORMS, rules_for
from agent.transports.device import driver_of
from tests.unit.backups.recorded import PRINTED

KEY = b"k"
TAG = re.compile(r"<hidden(:[0-9a-f]{8})?>")


def shown(network_os: str, text: str, *more: str, key: bytes = KEY) -> str:
    rules = rules_for(network_os, driver_of(network_os))
    return hidden(gate.tidied(text, Expected(rules=rules, names=("sw1",))), rules, more, key)


@pytest.mark.parametrize("network_os", PRINTED)
def test_no_secret_is_left_and_the_lines_are_as_many(network_os: str) -> None:
    """In the recorded configurations every secret has HIDE in it, and nothing else has."""
    text = PRINTED[network_os]
    told = shown(network_os, text)
    assert "HIDE" not in told
    assert len(TAG.findall(told)) >= len([line for line in text.splitlines() if "HIDE" in line and " " in line])
    assert "sw1" in told


@pytest.mark.parametrize(
    ("network_os", "line"),
    [
        ("ios", "tacacs-server host 10.0.0.1 key 7 HIDE"),
        ("ios", "radius-server host 10.0.0.1 auth-port 1812 acct-port 1813 key HIDE"),
        ("ios", " server-private 10.0.0.1 timeout 5 key 7 HIDE"),
        ("ios", " client 10.0.0.1 server-key 7 HIDE"),
        ("ios", " pac key 7 HIDE"),
        ("ios", " pre-shared-key local HIDE"),
        ("ios", " pre-shared-key remote 6 HIDE"),
        ("ios", " pre-shared-key address 0.0.0.0 0.0.0.0 key 6 HIDE"),
        ("ios", "enable secret level 7 5 HIDE"),
        ("ios", "ntp authentication-key 10 md5 HIDE 7"),
        ("ios", " ip ospf message-digest-key 12 md5 7 HIDE"),
        ("ios", " ipv6 ospf authentication ipsec spi 256 sha1 7 HIDE"),
        ("ios", " standby 1 authentication HIDE"),
        ("ios", " vrrp 1 authentication text HIDE"),
        ("ios", " ip nhrp authentication HIDE"),
        ("ios", "snmp-server host 10.0.0.1 HIDE"),
        ("ios", "snmp-server host 10.0.0.1 traps HIDE bgp config"),
        ("ios", "snmp-server host 10.0.0.1 vrf Mgmt version 2c HIDE udp-port 162"),
        ("nxos", 'radius-server host 10.0.0.1 key 7 "HIDE" authentication accounting'),
        ("nxos", "snmp-server user u network-admin auth sha HIDE priv aes-128 HIDE localizedkey"),
        ("eos", " ip ospf message-digest-key 1 sha512 7 HIDE"),
        ("asa", "snmp-server host inside 10.0.0.1 community HIDE version 2c"),
        ("asa", "failover key HIDE"),
        ("frr", " ip nhrp authentication HIDE"),
        ("vrp", " ospf authentication-mode md5 1 plain HIDE"),
        ("vrp", "snmp-agent target-host trap address udp-domain 10.0.0.1 params securityname HIDE v2c"),
        ("fortios", '        set community "HIDE"'),
        ("vyos", "set service snmp community HIDE authorization ro"),
        ("routeros", "/snmp community add name=HIDE addresses=10.0.0.0/8"),
        ("routeros", "add tcp-md5-key=HIDE remote.address=10.0.0.1"),
        ("ios", "radius server one\n key 1HIDE"),
        ("ios", "set session-key inbound esp 256 cipher HIDE authenticator HIDE"),
        ("ios", " security wpa psk set-key ascii 0 HIDE"),
        ("ios", " encryption key 1 size 128bit 7 HIDE transmit-key"),
        ("ios", "  authentication mode hmac-sha-256 7 HIDE"),
        ("ios", " path ftp://backup:HIDE@10.0.0.1/cfg"),
        ("iosxr", "snmp-server user u g v3 auth md5 encrypted HIDE priv aes 128 encrypted HIDE"),
        ("iosxr", "snmp-server host 10.0.0.1 traps version 2c encrypted HIDE"),
        ("iosxr", "snmp-server community-map HIDE context c"),
        ("iosxr", "   message-digest-key 1 md5 encrypted HIDE"),
        ("iosxr", "  key-string password HIDE"),
        ("iosxr", "router hsrp\n interface Gi0\n   authentication HIDE"),
        ("iosxr", "    text-authentication HIDE"),
        ("nxos", "snmp-server mib community-map HIDE context c"),
        ("eos", "   key 0abc1234 7 HIDE"),
        ("eos", "   isis authentication key 7 HIDE"),
        ("eos", "   exec /usr/bin/TerminAttr -cvauth=key,HIDE -taillogs"),
        ("vrp", "snmp-agent usm-user v3 u g authentication-mode md5 HIDE privacy-mode des56 HIDE"),
        ("vrp", "ntp-service authentication-keyid 1 authentication-mode md5 HIDE"),
        ("vrp", " security wpa2 psk pass-phrase HIDE aes"),
        ("vrp", " isis authentication-mode simple HIDE"),
        ("vrp", " vrrp vrid 1 authentication-mode md5 HIDE"),
        ("vrp", " pin verify auto HIDE"),
        ("vrp", " something new %^%#HIDE%^%#"),
        ("comware", " key authentication HIDE"),
        ("comware", " key accounting simple HIDE"),
        ("comware", "snmp-agent usm-user v3 u g simple authentication-mode sha HIDE privacy-mode aes128 HIDE"),
        ("comware", "super password role network-admin simple HIDE"),
        ("comware", " preshared-key pass-phrase simple HIDE"),
        ("fortios", 'config system snmp community\n    edit 1\n        set name "HIDE"'),
        ("fortios", "        set enckey 0xHIDE"),
        ("fortios", '        set value "Bearer HIDE"'),
        ("fortios", '        set headers "Authorization: HIDE"'),
        ("fortios", '        set passwd "a\\"b HIDE"'),
        ("fortios", '        set md5-key 1 "HIDE"'),
        ("fortios", "        set auth-string HIDE"),
        ("junos", "snmp {\n    community HIDE;"),
        ("junos", "        md5 1 key HIDE;"),
        ("junos", 'set system ntp authentication-key 1 type md5 value "HIDE"'),
        ("routeros", '/interface wifi security\nadd name=a passphrase=\\\n    "HIDE long"'),
        ("routeros", '/ppp secret\nadd name=a password="a\\\n    HIDE b"'),
        ("routeros", '/ppp secret\nadd password="a\\"b HIDE"'),
        ("routeros", "/interface wireguard peers\nadd preshared-key=HIDE"),
        ("routeros", "/snmp community\nset [ find default=yes ] addresses=::/0 name=HIDE"),
        ("routeros", "/zerotier\nset zt1 identity=HIDE"),
        ("routeros", "/interface lte\nset lte1 pin=HIDE"),
    ],
)
def test_a_secret_is_hidden_wherever_its_line_has_it(network_os: str, line: str) -> None:
    told = shown(network_os, line)
    assert "HIDE" not in told
    assert shown(network_os, told) == told


@pytest.mark.parametrize(
    ("network_os", "text"),
    [
        ("ios", "crypto isakmp policy 1\n authentication pre-share\n"),
        ("ios", " ip ospf authentication message-digest\n"),
        ("iosxr", "router ospf 1\n area 0\n  authentication message-digest\n"),
        ("ios", "ip http client source-interface Loopback0\n url http://10.0.0.1:8080/x\n"),
        ("ios", "snmp-server location Basement\n"),
        ("eos", "username ops ssh-key ssh-rsa AAAAB3Nza ops@desk\n"),
        ("fortios", 'config firewall policy\n    edit 1\n        set name "web"\n'),
        ("fortios", '        set ssh-public-key1 "ssh-rsa AAAAB3Nza"\n'),
        ("junos", "policy-options {\n    community far members 65000:1;\n"),
        ("routeros", "/interface bridge\nadd name=bridge1 pvid=10\n"),
        ("vrp", " authentication-mode aaa\nsnmp-agent sys-info version v3\n"),
    ],
)
def test_what_is_no_secret_stays_to_be_read(network_os: str, text: str) -> None:
    assert shown(network_os, text) == text


@pytest.mark.parametrize("server", ["tacacs server one", "radius server one", "tacacs-server host 10.0.0.1 port 49", "aaa group server radius x"])  # fmt: skip
def test_the_key_of_a_server_is_hidden_also_when_it_is_all_digits(server: str) -> None:
    assert TAG.sub("…", shown("ios", f"key chain a\n key 1\n{server}\n key 0822455010\nkey chain b\n key 2\n")) == (
        f"key chain a\n key 1\n{server}\n key …\nkey chain b\n key 2\n"
    )


def test_a_key_that_is_all_digits_is_hidden_and_the_number_of_one_is_not() -> None:
    assert TAG.sub("…", shown("ios", "key chain area\n key 1\n  key 7 0822455010\n")) == (
        "key chain area\n key 1\n  key 7 …\n"
    )


@pytest.mark.parametrize("network_os", PRINTED)
def test_what_is_hidden_stays_as_it_is(network_os: str) -> None:
    told = shown(network_os, PRINTED[network_os])
    assert shown(network_os, told) == told


def test_a_secret_that_changes_is_seen_to_change_by_who_has_the_key_alone() -> None:
    one, other = (shown("ios", f"hostname sw1\nenable secret 5 {secret}\nend\n") for secret in ("abc", "abd"))
    assert one != other
    assert one == shown("ios", "hostname sw1\nenable secret 5 abc\nend\n")
    assert one != shown("ios", "hostname sw1\nenable secret 5 abc\nend\n", key=b"another")


def test_what_is_printed_differently_each_time_is_no_change() -> None:
    told = {shown("fortios", f"config x\n    set password ENC {salt}\nend\n") for salt in ("AAAA==", "BBBB==")}
    assert len(told) == 1


def test_a_pattern_of_the_operator_hides_more() -> None:
    assert "hush" not in shown("ios", "hostname sw1\nwebhook token hush now\nend\n", r"token (?P<secret>\S+)")


def test_letters_of_other_scripts_stay_in_their_places() -> None:
    assert TAG.sub("…", shown("ios", "snmp-server contact Jürgen password gehéim ünd so\n")) == (
        "snmp-server contact Jürgen password … ünd so\n"
    )


@given(st.text(alphabet="ab \"'{};=\u00e4<>\n", max_size=60))
def test_whatever_stands_there_as_many_lines_are_left(text: str) -> None:
    for rules in PLATFORMS.values():
        assert hidden(f"password {text}", rules, (), KEY).count("\n") == text.count("\n")


@pytest.mark.parametrize("secret", ['"two words"', '"odd"one', "o;d'd", "<hidden>x", "x"])
def test_a_secret_of_any_shape_is_hidden_whole(secret: str) -> None:
    assert TAG.sub("…", shown("ios", f"enable secret 5 {secret}\n")) == "enable secret 5 …\n"


def test_a_private_key_is_hidden_whole() -> None:
    text = "a\n-----BEGIN RSA PRIVATE KEY-----\nHIDE\nHIDE\n-----END RSA PRIVATE KEY-----\nb\n"
    assert TAG.sub("…", hidden(text, platforms.GENERIC, (), KEY)) == "a\n…\nb\n"
    assert "HIDE" not in hidden(text.partition("-----END")[0], platforms.GENERIC, (), KEY)


def test_the_key_of_the_tags_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    made = hiding.key_in(tmp_path)
    assert hiding.key_in(tmp_path) == made
    assert (tmp_path / hiding.KEY_FILE).stat().st_mode & 0o777 == 0o600
