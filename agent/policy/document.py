"""The JSON Schema of the language, made from the models that read it: for editors, never for validation."""

import copy
from collections.abc import Mapping
from typing import Any

from agent.closed import ClosedModel
from agent.policy.catalogue import Catalogue, options_of
from agent.policy.schema import Header, WindowSpec
from agent.policy.schema_config import ConfigSpec
from agent.policy.schema_items import BackupSpec, CheckSpec, RemedySpec
from agent.policy.schema_recoveries import RecoverySpec

Schema = dict[str, Any]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema(known: Catalogue) -> Schema:
    """One document with two entries: `policy`, for files of policies/, and `config`, for config.yaml."""
    definitions: Schema = {}
    policy = _policy(known, definitions)
    config = _config(known, definitions)
    definitions |= {"policy": policy, "config": config}
    return {
        "$schema": _DRAFT,
        "title": "Watchkeeper",
        "anyOf": [{"$ref": "#/$defs/policy"}, {"$ref": "#/$defs/config"}],
        "$defs": dict(sorted(definitions.items())),
    }


def _policy(known: Catalogue, definitions: Schema) -> Schema:
    policy = _model(Header, definitions)
    sections = {
        "checks": _with_kind(CheckSpec, known.probes, "check", definitions),
        "remedies": _model(RemedySpec, definitions),
        "backups": _with_kind(BackupSpec, known.engines, "backup", definitions),
        "recoveries": _model(RecoverySpec, definitions),
        "windows": _model(WindowSpec, definitions),
    }
    for name, item in sections.items():
        policy["properties"][name] = {"type": "object", "additionalProperties": item}
    return policy


def _config(known: Catalogue, definitions: Schema) -> Schema:
    config = _model(ConfigSpec, definitions)
    sink = {
        "type": "object",
        "properties": _kinds(known.sinks, "sink", definitions),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    config["properties"]["sinks"] = {"type": "object", "additionalProperties": sink}
    config["properties"]["windows"] = {"type": "object", "additionalProperties": _model(WindowSpec, definitions)}
    return config


def _with_kind(model: type[ClosedModel], family: Mapping[str, type], what: str, definitions: Schema) -> Schema:
    """An item: what its section says, and exactly one kind key."""
    item = _model(model, definitions)
    item["properties"] = _kinds(family, what, definitions) | item["properties"]
    item["oneOf"] = [{"required": [name]} for name in family]
    return item


def _kinds(family: Mapping[str, type], what: str, definitions: Schema) -> Schema:
    return {name: _kind(cls, f"{what}-{name}", definitions) for name, cls in family.items()}


def _kind(cls: Any, name: str, definitions: Schema) -> Schema:
    full = _model(options_of(cls), definitions, f"{name}-")
    definitions[name] = full
    forms: list[Schema] = [{"$ref": f"#/$defs/{name}"}]
    short: str | None = getattr(cls, "SHORT", None)
    if short:
        forms.append(copy.deepcopy(full["properties"].get(short, {"type": "string"})))
    if short is not None and not full.get("required"):
        forms.append({"type": "null"})  # `memory:` with nothing behind it
    told: Schema = {"anyOf": forms} if len(forms) > 1 else forms[0]
    first = (cls.__doc__ or "").strip().partition("\n")[0]
    return told | ({"description": first} if first else {})


def _model(model: type[ClosedModel], definitions: Schema, prefix: str = "") -> Schema:
    made = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    inner = made.pop("$defs", {})
    definitions |= {f"{prefix}{name}": _tidy(one) for name, one in inner.items()}
    tidy: Schema = _tidy(made)
    return tidy


def _tidy(node: Any) -> Any:
    """Without what the library adds of its own: titles made of names, and null, which YAML text never is."""
    if isinstance(node, list):
        return [_tidy(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    told = {name: _tidy(inner) for name, inner in node.items() if not _is_noise(name, inner)}
    if isinstance(node.get("properties"), dict):
        told["properties"] = {name: _tidy(inner) for name, inner in node["properties"].items()}
    forms = [form for form in told.get("anyOf", []) if form != {"type": "null"}]
    if "anyOf" in told:
        told["anyOf"] = forms
    if len(forms) == 1:
        del told["anyOf"]
        told = forms[0] | told
    return told


def _is_noise(name: str, value: object) -> bool:
    return (name == "title" and isinstance(value, str)) or (
        name == "default" and (isinstance(value, dict) or value in (None, "", []))
    )
