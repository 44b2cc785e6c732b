"""Holds rendered manifests to the published schemas of their kinds, and shows that each
schema refuses what is wrong.

usage: check.py KUBERNETES-VERSION CRD-FOLDER MANIFESTS...
       check.py compose SCHEMA COMPOSE-FILE

Kinds of Kubernetes itself have their schema in kubernetes-validate, others in the
CustomResourceDefinitions below the folder. A field that a schema does not know is a
fault, in every depth. Rules in CEL (x-kubernetes-validations), and what only a controller
knows, are not checked. A kind whose schema is not there is said to be unvalidated.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

FREE = {"labels", "annotations", "matchLabels", "data", "requests", "limits", "nodeSelector", "metadata"}


class Refused(Exception):
    """What is wrong with an object, and where."""

    def __init__(self, fault):
        super().__init__(f"{'.'.join(map(str, fault.absolute_path))}: {fault.message[:300]}")


def closed(schema):
    """A CustomResourceDefinition's schema as the API server reads it: fields that it does
    not name are refused."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: v if k in ("default", "example", "enum") else closed(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
        out.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if schema.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def custom(folder):
    """Validators by apiVersion and kind."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
        for document in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
                continue
            spec = document["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}  # every object's: see check
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = jsonschema.Draft202012Validator(schema)
    return found


def core(manifest, version):
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as fault:
        raise Refused(fault) from None


def check(manifest, version, validators):
    """Raises Refused, or tells by what the object is good; None if it has no schema
    here."""
    validator = validators.get((manifest["apiVersion"], manifest["kind"]))
    if validator is None:
        try:
            core(manifest, version)
            return "Kubernetes " + version
        except kubernetes_validate.SchemaNotFoundError:
            return None
    core({"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]}, version)
    for fault in validator.iter_errors(manifest):
        raise Refused(fault)
    return "its CustomResourceDefinition"


def misspelt(node, path=()):
    """Copies of an object, each with the name of one field wrong. The keys of free maps
    are left alone."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            for where, bad in misspelt(item, path + (i,)):
                yield where, node[:i] + [bad] + node[i + 1 :]
    if not isinstance(node, dict) or path and path[-1] in FREE:
        return
    for key, value in node.items():
        rest = {k: v for k, v in node.items() if k != key}
        yield path + (key,), {**rest, key + "x": value}
        for where, bad in misspelt(value, path + (key,)):
            yield where, {**rest, key: bad}


def free(kind, where):
    """Tells keys that anybody chooses: a Service's selector, and what a KEDA trigger
    takes."""
    return kind == "Service" and where[:2] == ("spec", "selector") or kind == "ScaledObject" and "metadata" in where


def main(version, folder, *files):
    validators, faults, seen = custom(folder), 0, set()
    refused = 0
    for file in files:
        for manifest in yaml.load_all(pathlib.Path(file).read_text(), yaml.CSafeLoader):
            text = yaml.safe_dump(manifest)
            if text in seen:  # of another overlay
                continue
            seen.add(text)
            name = f"{pathlib.Path(file).stem}: {manifest['kind']} {manifest['metadata']['name']}"
            try:
                by = check(manifest, version, validators)
            except Refused as fault:
                faults += 1
                print(f"{name} is refused: {fault}", file=sys.stderr)
                continue
            if by is None:
                print(f"{name}: NOT VALIDATED, its schema is not here")
                continue
            wrong = [(w, bad) for w, bad in misspelt({k: v for k, v in manifest.items() if k not in ("apiVersion", "kind")})
                     if len(w) > 1 and not free(manifest["kind"], w)]
            for where, bad in wrong:
                try:
                    check({"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], **bad}, version, validators)
                except Refused:
                    refused += 1
                    continue
                faults += 1
                print(f"{name}: a field {'.'.join(map(str, where))}x is not refused", file=sys.stderr)
            print(f"{name}: good by {by}; each of {len(wrong)} fields misspelt is refused")
    return 1 if faults or not refused else 0


def compose(schema, file):
    validator = jsonschema.Draft202012Validator(json.loads(pathlib.Path(schema).read_text()))
    project = yaml.load(pathlib.Path(file).read_text(), yaml.CSafeLoader)
    for fault in validator.iter_errors(project):
        print(f"{file} is refused: {Refused(fault)}", file=sys.stderr)
        return 1
    wrong = [(w, {**project, **bad}) for w, bad in misspelt({"services": project["services"]}) if len(w) > 2 and not set(w) & {"environment", "args", "ulimits"}]
    for where, bad in wrong:
        if validator.is_valid(bad):
            print(f"{file}: a field {'.'.join(map(str, where))}x is not refused", file=sys.stderr)
            return 1
    print(f"{file}: good by the Compose Specification; each of {len(wrong)} fields misspelt is refused")
    return 0


if __name__ == "__main__":
    sys.exit(compose(*sys.argv[2:]) if sys.argv[1] == "compose" else main(*sys.argv[1:]))
