"""What container makes of what Docker and Podman print, in the shapes that their inspect gives a state."""

import pytest
from pydantic import ValidationError

from agent.checks.container import Container, ContainerOptions
from agent.model.look import Section, Verdict

DOCKER = (
    '{"state": {"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":4711,'
    '"ExitCode":0,"Error":"","StartedAt":"2026-01-01T00:00:00.1Z","FinishedAt":"0001-01-01T00:00:00Z"}, "restarts": 2}\n'
)
HEALTH = (
    '{"state": {"Status":"running","ExitCode":0,"Health":{"Status":"%s","FailingStreak":0,"Log":[]}}, "restarts": 0}\n'
)
PODMAN_3 = '{"state": {"Status":"running","ExitCode":0,"Healthcheck":{"Status":"","FailingStreak":0,"Log":null}}, "restarts": 0}\n'
ENDED = '{"state": {"Status":"%s","ExitCode":137,"OOMKilled":%s,"Error":"%s"}, "restarts": 5}\n'


@pytest.mark.parametrize(
    ("text", "verdict", "words", "health"),
    [
        (DOCKER, "ok", "running", "none"),
        ("WARNING: a note first\n" + DOCKER, "ok", "running", "none"),
        (HEALTH % "healthy", "ok", "running, healthy", "healthy"),
        (HEALTH % "starting", "warning", "running, its first health check is still to come", "starting"),
        (HEALTH % "unhealthy", "critical", "running, but unhealthy", "unhealthy"),
        (PODMAN_3, "ok", "running", "none"),
        (ENDED % ("exited", "true", ""), "critical", "exited, exit 137, killed for want of memory", "none"),
        (ENDED % ("restarting", "false", ""), "warning", "restarting, exit 137", "none"),
        (ENDED % ("dead", "false", "no \\u001b[31mdevice"), "critical", "dead, exit 137: no device", "none"),
    ],
)  # fmt: skip
def test_a_container_is_as_its_engine_says(text: str, verdict: str, words: str, health: str) -> None:
    look = Container.read(Section(text=text, exit_code=0), ContainerOptions(name="web"))
    assert (look.verdict, look.summary, look.metrics["health"]) == (verdict, f"web: {words}", health)


@pytest.mark.parametrize(
    ("text", "code", "verdict", "words"),
    [
        ("Error: No such container: web\n", 1, "critical", "there is no such container"),
        ("Error: inspecting object: no such container web\n", 125, "critical", "there is no such container"),
        ("permission denied while trying to connect to the Docker daemon socket\n", 1, "unknown", "permission denied"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n", 1, "unknown", "Cannot connect"),
        ("this host has no container engine\n", 127, "unknown", "this host has no container engine"),
        ("", 0, "unknown", "exit 0"),
        ('{"state": 7}\n', 0, "unknown", "cannot be inspected"),
        ("{" * 9000 + "\n", 0, "unknown", "cannot be inspected"),
        ('{"state": {"Status": ""}, "restarts": 1e999}\n', 0, "critical", "unknown"),
    ],
)  # fmt: skip
def test_what_no_engine_tells_is_told(text: str, code: int, verdict: str, words: str) -> None:
    look = Container.read(Section(text=text, exit_code=code), ContainerOptions(name="web"))
    assert look.verdict == verdict
    assert words in look.summary


def test_without_an_answer_nobody_knows() -> None:
    section = Section(text="", exit_code=124, timed_out=True)
    assert Container.read(section, ContainerOptions(name="web")).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("options", [{}, {"name": "-x"}, {"name": "a b"}, {"name": "web", "engine": "lxc"}])
def test_options_of_containers_that_make_no_sense_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ContainerOptions.model_validate(options)
