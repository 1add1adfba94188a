"""What a backup says of its upkeep: which snapshots are kept, and in which further repositories there are copies."""

from agent.model.backup import Repository
from agent.model.upkeep import FLOOR_SECONDS, Keep
from agent.policy import wording
from agent.policy.catalogue import Place
from agent.policy.faults import Fault
from agent.policy.scene import Scene
from agent.policy.schema_items import BackupSpec, KeepSpec


def keep(scene: Scene, spec: BackupSpec, repository: Repository, place: Place, wrong: list[Fault]) -> Keep | None:
    """What is kept of a backup; None for everything."""
    if spec.keep is None:
        return None
    if not repository.name:
        wrong.append((place / "keep").fault("it is kept in git: nothing of it is ever removed", at_key=True))
        return None
    found = _keep(spec.keep, scene.config.timezone)
    counts = (found.last, found.hourly, found.daily, found.weekly, found.monthly, found.yearly)
    if not any(counts) and spec.keep.within is None:
        wrong.append(
            (place / "keep").fault("say what is to be kept, like {daily: 7, weekly: 5}; without keep: everything")
        )
    if not repository.prune:
        message = f"nothing is ever removed from {repository.name!r}: give it `prune` in config.yaml"
        wrong.append((place / "keep").fault(message, at_key=True))
    return found


def _keep(spec: KeepSpec, zone: str) -> Keep:
    return Keep(
        last=spec.last,
        hourly=spec.hourly,
        daily=spec.daily,
        weekly=spec.weekly,
        monthly=spec.monthly,
        yearly=spec.yearly,
        within_seconds=FLOOR_SECONDS if spec.within is None else spec.within,
        zone=zone,
    )


def copies(
    scene: Scene, spec: BackupSpec, repository: Repository, place: Place, wrong: list[Fault]
) -> tuple[Repository, ...]:
    """The further repositories, each once, and none of them the first one."""
    known = scene.config.repositories
    if spec.copies and not repository.name:
        wrong.append((place / "copies").fault("it is kept in git: copy that as a folder, by files", at_key=True))
    for index, name in enumerate(spec.copies):
        here = place / "copies" / index if len(spec.copies) > 1 else place / "copies"
        if name not in known:
            wrong.append(here.fault(wording.unknown("repository", name, known)))
        elif name == repository.name or name in spec.copies[:index]:
            wrong.append(here.fault(f"it is saved to {name!r} anyway: a copy belongs somewhere else"))
        elif why := _apart(repository, known[name]):
            wrong.append(here.fault(why))
        elif known[name].url == repository.url and known[name].url:
            wrong.append(here.fault(f"{name!r} is the same place as {repository.name!r}"))
    return tuple(known[name] for name in spec.copies if name in known)


def _apart(one: Repository, other: Repository) -> str:
    """Why restic cannot copy from one into the other: it takes one way over SSH, and one set of credentials for S3."""
    ways = [repository.url.partition(":")[0] for repository in (one, other)]
    if ways == ["sftp", "sftp"]:
        return f"restic copies between {one.name!r} and {other.name!r} only when one of them is not sftp:"
    if ways == ["s3", "s3"] and dict(one.credentials) != dict(other.credentials):
        return f"{one.name!r} and {other.name!r} have other credentials: restic takes one set for both"
    return ""
