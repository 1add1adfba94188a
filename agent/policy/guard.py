"""The 20 % guard: a file that was cut in half may still be valid YAML, so a large loss needs somebody's consent."""

from collections import Counter
from collections.abc import Collection

from agent.policy.schema import RESERVED

SHARE = 0.20
_SHOWN = 5


def drops(old: Collection[str], new: Collection[str]) -> str | None:
    """The question to ask before checks are dropped, None when no consent is needed.

    `old` and `new` are keys (`service/section/name@host`) of what is watched. Needed: consent to lose more than a
    fifth of them, or all those of a service. The implicit checks of the agent come and go with the hosts.
    """
    before = {key for key in old if _service(key) != RESERVED}
    gone = before - set(new)
    if not gone:
        return None
    left = {_service(key) for key in new}
    groups = sorted({_service(key) for key in gone} - left)
    if len(gone) <= SHARE * len(before) and not groups:
        return None
    told = f"{len(gone)} of {len(before)} checks would no longer be made ({_most(gone)})"
    if groups:
        more = ", …" if len(groups) > _SHOWN else ""
        told += f"; nothing of {', '.join(groups[:_SHOWN])}{more} would be left"
    return f"{told}: is that meant?"


def _service(key: str) -> str:
    return key.partition("/")[0]


def _most(keys: Collection[str]) -> str:
    counted = Counter(_service(key) for key in keys)
    ranked = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    shown = ", ".join(f"{service}: {count}" for service, count in ranked[:_SHOWN])
    return shown + (", …" if len(ranked) > _SHOWN else "")
