"""check: packages — which updates wait, which of them mend security holes, and does the machine need a reboot?

What apt(8) lists as upgradable (pins and holds of versions obeyed), or what dnf(8) check-update finds; both by the lists that the host has already,
without the network. `pending` counts packages with a newer version, `security` those of them that come from a security
archive (apt) or a security advisory (dnf). `lists_age` is the time since the lists were refreshed: old lists know no new
update. `reboot_needed` is yes or no: yes when the system's own note says so (/run/reboot-required; needs-restarting(1)),
or when a newer kernel of the running one's flavour is installed. Always ok by itself; unknown without lists.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Measure, Section, Unit, Verdict

_COUNTED = re.compile(r"^pending ([0-9]{1,9}) security ([0-9]{1,9})$", re.MULTILINE)
_AGE = re.compile(r"^lists ([0-9]{1,12}) ([0-9]{1,12})$", re.MULTILINE)
_REBOOT = re.compile(r"^reboot (yes|no)$", re.MULTILINE)
_TROUBLE = re.compile(r"^(?:E: |Error: |no )(.+)$", re.MULTILINE)


class PackagesOptions(ClosedModel):
    """Nothing to choose."""


@check("packages")
class Packages:
    """The packages of a whole machine."""

    OPTIONS: ClassVar = PackagesOptions
    SHORT: ClassVar = ""
    METRICS: ClassVar[Mapping[str, Unit]] = {
        "pending": Unit.NUMBER,
        "security": Unit.NUMBER,
        "reboot_needed": Unit.TEXT,
        "lists_age": Unit.SECONDS,
    }
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(_options: PackagesOptions) -> str:
        """Counted on the host: a few lines come back, however much waits there."""
        return _SCRIPT

    @staticmethod
    def read(section: Section, _options: PackagesOptions) -> Look:
        """Two counts, an age, a yes or no."""
        text = section.text
        counted, trouble = _COUNTED.search(text), _TROUBLE.search(text)
        if counted is None or trouble is not None or section.timed_out:
            words = (
                "no answer in time" if section.timed_out else trouble[0] if trouble else text or "nothing was printed"
            )
            return told(Verdict.UNKNOWN, f"no list of updates: {one_line(words)}", evidence=text)
        metrics: dict[str, Measure] = {"pending": float(counted[1]), "security": float(counted[2])}
        summary = f"{counted[1]} updates wait, {counted[2]} of them for security"
        if (age := _AGE.search(text)) is not None:
            metrics["lists_age"] = max(0.0, float(age[1]) - float(age[2]))
        if (reboot := _REBOOT.search(text)) is not None:
            metrics["reboot_needed"] = reboot[1]
            summary += "; a reboot is needed" if reboot[1] == "yes" else ""
        return told(Verdict.OK, summary, metrics=metrics, evidence=text)


# A line of apt list: `openssl/stable-security,stable 3.0.16-1 amd64 [upgradable from: 3.0.15-1]`. A simulated upgrade
# finds the same at four times the cost. apt's warning, that its output may change one day, goes to stderr.
# dnf check-update: `name.arch  version  repository`, exit code 100 when there is something, then perhaps what it obsoletes.
_SCRIPT = r"""LC_ALL=C; export LC_ALL
age() { echo "lists $(date +%s) $(stat -c %Y "$@" 2>/dev/null | sort -n | tail -n 1)"; }
updates() { dnf -q -C check-update "$@" 2>&1; [ $? -eq 100 ] || [ $? -eq 0 ]; }
count() { awk '/^Obsoleting/ { exit } /^(Error|no )/ { print > "/dev/stderr" } NF == 3 && $1 ~ /\.[a-z0-9_]+$/ { n++ } END { print n + 0 }'; }
if command -v apt-get >/dev/null 2>&1; then
  lists=; eval "$(apt-config shell lists Dir::State::lists/d 2>/dev/null)"; lists=${lists:-/var/lib/apt/lists/}
  ls "$lists" 2>/dev/null | grep -q _Packages || { echo "no package lists: apt-get update has never run"; exit 3; }
  age "$lists" "${lists}partial" /var/lib/apt/periodic/update-success-stamp
  apt -q -o Debug::NoLocking=1 list --upgradable 2>&1 </dev/null | awk '
    /^E: / { print }
    / \[upgradable from: / { pending++; split($1, part, "/")
      if (part[2] ~ /(^|[-,])security/ && security++ < 20) print "security: " part[1] }
    END { print "pending " pending + 0 " security " security + 0 }'
elif command -v dnf >/dev/null 2>&1; then
  age /var/cache/dnf/last_makecache /var/cache/dnf /var/cache/libdnf5
  echo "pending $(updates | count) security $(updates --security | count)"
else
  echo "no apt-get and no dnf on this host"; exit 3
fi
running=$(uname -r); flavour=${running##*[0-9]-}
if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo "reboot yes"
elif command -v needs-restarting >/dev/null 2>&1; then needs-restarting -r >/dev/null 2>&1 && echo "reboot no" || echo "reboot yes"
elif [ -e "/boot/vmlinuz-$running" ]; then
  newest=$(ls /boot/vmlinuz-*"$flavour" | sort -V | tail -n 1)
  [ "$newest" = "/boot/vmlinuz-$running" ] && echo "reboot no" || echo "reboot yes"
else echo "reboot no"
fi
"""
