"""The JSON Schema that `herald schema` prints is right in the eyes of a validator that others wrote.

Whatever Herald takes, the schema must take; of the mistakes that Herald refuses, the schema must see
those that are in sight without knowing what a word means.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import tomllib

from jsonschema import Draft202012Validator

from herald import check, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
BROKEN = ROOT / "tests" / "config_errors"

# Broken files whose mistake no schema sees: other names, addresses, secrets, the meaning of texts.
UNSEEN = """
    bad-names bad-url cloudevents-fields duplicate-names email-mistakes engine-postgres guarded-address
    limit-incomplete listen-nonsense listen-without-tokens owner-nonsense pattern-json-places
    sink-name-typo template-body templates-names test-of-broken-subscription unknown-reference unset-variable
""".split()


def plain(value):
    """What TOML gives, as JSON has it: times are texts."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return value


def every_key(text):
    """config.toml with the keys that stand in comments."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        key = bare.split(" = ")[0] if " = " in bare else ""
        is_setting = bare.startswith("[") or re.fullmatch(r"[A-Za-z0-9_.-]+", key)
        lines.append(bare if is_setting else line)
    return "\n".join(lines)


def body():
    printed = subprocess.run([os.environ["HERALD"], "schema"], capture_output=True, check=True)
    schema = json.loads(printed.stdout)
    Draft202012Validator.check_schema(schema)
    config = Draft202012Validator(schema)

    def said(text):
        errors = config.iter_errors(plain(tomllib.loads(text)))
        return [f"{error.json_path}: {error.message[:200]}" for error in errors]

    def takes(text, name):
        errors = said(text)
        check(not errors, f"it takes {name}" + "".join(f"\n  {error}" for error in errors))

    listed = (ROOT / "config.toml").read_text()
    takes(listed, "config.toml")
    takes(every_key(listed), "config.toml with every key")
    for path in sorted(ROOT.glob("sinks/*/example.toml")):
        takes(path.read_text(), path.relative_to(ROOT))

    seen, syntax = [], []
    for path in sorted(BROKEN.glob("*.toml")):
        lines = path.with_suffix(".expected").read_text().splitlines()
        is_taken = all(": warning: " in line for line in lines)
        try:
            errors = said(path.read_text())
        except tomllib.TOMLDecodeError:
            syntax.append(path.stem)
            continue
        if is_taken:
            takes(path.read_text(), f"{path.stem}, of which Herald only warns")
        elif path.stem in UNSEEN:
            check(not errors, f"{path.stem}: its mistake is not for a schema to see")
        else:
            check(errors, f"it refuses {path.stem}")
            seen.append(path.stem)
    check(len(seen) >= 25, f"{len(seen)} broken files are refused, {len(syntax)} are no TOML at all")

    pattern = Draft202012Validator({"$ref": "#/$defs/pattern", "$defs": schema["$defs"]})
    taken = 0
    for line in (ROOT / "rules" / "reference.md").read_text().splitlines():
        if line.startswith("pattern  "):
            text = line.removeprefix("pattern  ")
            if not pattern.is_valid(json.loads(text)):
                check(False, f"it takes the pattern {text}")
            taken += 1
    check(taken >= 35, f"it takes the {taken} patterns of the reference")
    for wrong in ['{"a": []}', '{"a": [{"prefx": "x"}]}', '{"a": [{"prefix": "x", "suffix": "y"}]}',
                  '{"a": [{"wildcard": "a**b"}]}', '{"$or": [{"a": [1]}]}', '{"$and": [{"a": [1]}]}', "{}"]:
        check(not pattern.is_valid(json.loads(wrong)), f"it refuses the pattern {wrong}")
    for right in [r'{"a": [{"wildcard": "\\**\\\\*x*"}]}', '{"a": [{"wildcard": ""}]}']:
        check(pattern.is_valid(json.loads(right)), f"it takes the pattern {right}")


main(body)
