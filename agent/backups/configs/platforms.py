"""What is particular to each kind of network device: how to ask for its configuration, where that ends, what is noise.

Patterns are RE2's: whatever a device prints, they take time in proportion to it.
"""

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType

from agent.backups.configs import announced


class Ending(enum.StrEnum):
    """How one sees that a configuration is whole. Only a marker is proof by itself."""

    MARKER = "marker"  # its last line is one that stands nowhere else
    BRACES = "braces"  # every brace that is opened is closed
    BLOCKS = "blocks"  # `config` … `end`, `edit` … `next`
    NONE = "none"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """One kind of device. `noise` are lines that change by themselves, or are no configuration.

    `hides` are secrets beside those of every platform, `within` those below a line (`heading`) that matches the first
    pattern of a pair; `joint` is what a line is broken by. `salted`: the same secret is printed differently each time.
    """

    name: str
    command: str
    hostname: str = ""
    ending: Ending = Ending.NONE
    marker: str = ""
    noise: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    heading: str = r"^\S"
    within: tuple[tuple[str, str], ...] = ()
    joint: str = ""
    salted: bool = False


ERRORS: tuple[str, ...] = (
    r"^ *% ?(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized|Authorization|Access|Permission|Bad|Error|Command|Type)\b",
    r"^ *(?:Error: |error: |syntax error|unknown command|bad command name|expected end of command|Command parse error|Unknown action)",
    r"^ *(?:Permission denied|Access denied|command authorization failed)",
)
PAGERS: tuple[str, ...] = (
    r"(?i)^ *[-<( ]*-+ *\(?more\b.*$",
    r"(?i)^ *<-+ *more *-+>.*$",
    r"(?i)^ *press any key\b.*$",
    r"(?i)^ *lines? [0-9]+-[0-9]+.*\(?(?:END|[0-9]+%)\)?.*$",
)
_CISCO = (
    r"^Building configuration\.\.\.", r"^Current configuration *:", r"^Using [0-9]+ out of [0-9]+ bytes",
    r"^! ?(?:Last configuration change|NVRAM config last updated|No configuration change since)",
    r"^!! ?(?:IOS XR Configuration|Last configuration change)", r"^[A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]+ [0-9:.]+ \S+$",
    r"^ntp clock-period ",
)  # fmt: skip
_CISCO_NAME = r'^(?:hostname|switchname) +"?(?P<name>[^\s"]+)"?$'
_END = r"^end$"

PLATFORMS: Mapping[str, Platform] = MappingProxyType({
    one.name: one
    for one in (
        Platform(
            name="frr", command="show running-config", hostname=_CISCO_NAME, ending=Ending.MARKER, marker=_END,
            noise=(r"^Building configuration\.\.\.", r"^Current configuration *:"),
        ),
        Platform(
            name="linux", command='vtysh -c "show running-config"', hostname=_CISCO_NAME, ending=Ending.MARKER, marker=_END,
            noise=(r"^Building configuration\.\.\.", r"^Current configuration *:"),
        ),
        Platform(
            name="cisco_ios", command="show running-config", hostname=_CISCO_NAME, ending=Ending.MARKER, marker=_END,
            noise=_CISCO,
        ),
        Platform(
            name="cisco_xr", command="show running-config", hostname=_CISCO_NAME, ending=Ending.MARKER, marker=_END,
            noise=_CISCO, within=(announced.GROUPS_OF_XR,),
        ),
        Platform(
            name="cisco_nxos", command="show running-config", hostname=_CISCO_NAME,
            noise=(r"^!(?:Command|Running configuration last done at|Time):", *_CISCO),
        ),
        Platform(
            name="arista_eos", command="show running-config", hostname=_CISCO_NAME, ending=Ending.MARKER, marker=_END,
            noise=(r"^! (?:Command|Time|Startup-config last modified at)\b.*",), hides=announced.ARISTA,
        ),
        Platform(
            name="juniper_junos", command="show configuration", hostname=r"^ *host-name +\"?(?P<name>[^\s\";]+)\"?;",
            ending=Ending.BRACES, noise=(r"^## Last (?:commit|changed):",),
            hides=(r'(?P<secret>"[^"]*"|\S+); +## SECRET-DATA$', r"^ *community +(?P<secret>\S+) +\{$"),
            within=(announced.COMMUNITIES_OF_JUNOS,),
        ),
        Platform(
            name="huawei", command="display current-configuration", hostname=r"^ *sysname +(?P<name>\S+)$",
            ending=Ending.MARKER, marker=r"^return$",
            noise=(r"^!(?:Software Version|Last configuration was (?:updated|saved)) .*",), salted=True,
            hides=announced.IN_CLEAR,
        ),
        Platform(
            name="hp_comware", command="display current-configuration", hostname=r"^ *sysname +(?P<name>\S+)$",
            ending=Ending.MARKER, marker=r"^return$", hides=announced.IN_CLEAR,
        ),
        Platform(
            name="fortinet", command="show", hostname=r'^ *set hostname +"(?P<name>[^"]+)"$', ending=Ending.BLOCKS,
            noise=(r"^#(?:conf_file_ver|buildno|config-version)=",), hides=announced.FORTINET,
            heading=r"^ *config +", within=(announced.COMMUNITIES_OF_FORTINET,), salted=True,
        ),
        Platform(
            name="mikrotik_routeros", command="/export", hostname=r'^ *set name="?(?P<name>[^"\s]+)"?$',
            noise=(r"^# (?:[a-z]{3}/[0-9]{2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}) .* by RouterOS",),
            hides=announced.ROUTEROS, heading=r"^ */", within=announced.MENUS_OF_ROUTEROS, joint=r"\\\n\s*",
        ),
    )
})  # fmt: skip
GENERIC = Platform(
    name="generic", command="show running-config",
    hostname=r'^ *(?:set +)?(?:system +)?(?:hostname|host-name|sysname|switchname)\b(?: +name)? +"?(?P<name>[^\s";]+)"?;?$',
    noise=_CISCO,
)  # fmt: skip


def rules_for(network_os: str, driver: str) -> Platform:
    """The rules of a device: by the last part of its ansible_network_os, else by netmiko's name for it."""
    return PLATFORMS.get(network_os.rpartition(".")[2]) or PLATFORMS.get(driver) or GENERIC
