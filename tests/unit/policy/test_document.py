"""The JSON Schema for editors offers what the loader takes, and nothing else."""

import json
from typing import Any

import pytest

from agent.policy.document import schema
from agent.policy.reading import SECTIONS
from agent.policy.schema import Header
from tests.fakes import policies


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return schema(policies.catalogue())


def references(node: Any) -> set[str]:
    """Every definition that a schema refers to."""
    if isinstance(node, list):
        return {name for inner in node for name in references(inner)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/$defs/")} if isinstance(node.get("$ref"), str) else set()
    return own | {name for inner in node.values() for name in references(inner)}


def test_it_is_json_and_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    assert json.loads(json.dumps(made)) == made
    assert references(made) <= set(made["$defs"])


def test_a_policy_has_the_keys_of_the_loader(made: dict[str, Any]) -> None:
    assert set(made["$defs"]["policy"]["properties"]) == {*SECTIONS, *Header.model_fields}


def test_every_plug_in_is_offered_once(made: dict[str, Any]) -> None:
    known = policies.catalogue()
    sections = made["$defs"]["policy"]["properties"]
    checks = sections["checks"]["additionalProperties"]
    assert set(known.probes) <= set(checks["properties"])
    assert [one["required"] for one in checks["oneOf"]] == [[name] for name in known.probes]
    sinks = made["$defs"]["config"]["properties"]["sinks"]["additionalProperties"]
    assert set(sinks["properties"]) == set(known.sinks)


def test_keys_stand_in_it_as_yaml_writes_them(made: dict[str, Any]) -> None:
    window = made["$defs"]["policy"]["properties"]["windows"]["additionalProperties"]
    assert {"for", "start", "end"} <= set(window["properties"])
    assert "global" in made["$defs"]["SafetySpec"]["properties"]
