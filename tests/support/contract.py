"""Contract of version 1: what the last release has promised, in tests/contract/v1.json.

`python -m tests.support.contract` prints what the document of today adds to it, for the change log, and what breaks
it. With `--release` it writes there what is promised from now on.
"""

import json
import sys

from api import create_app, reference
from core.platform.config.load import ROOT
from tests.support.promise_changes import additions, breaks
from tests.support.promises import OUTPUT, Contract, Schema, promises_of

BASELINE = ROOT / "tests" / "contract" / "v1.json"


def baseline() -> Contract:
    """Return the contract of the last release."""
    found: Contract = json.loads(BASELINE.read_text())
    for operation in found["operations"].values():
        answers = operation[OUTPUT]["properties"]
        operation[OUTPUT]["properties"] = {code: parts for codes, parts in answers.items() for code in codes.split()}
    return found


def written(contract: Contract) -> str:
    """Return a contract as JSON with a line for each operation and schema; what is said of several statuses, once."""
    lines = []
    for kind, found in contract.items():
        entries = [
            f"{json.dumps(name)}:{json.dumps(_grouped(entry), separators=(',', ':'))}"
            for name, entry in sorted(found.items())
        ]
        lines.append(f"{json.dumps(kind)}: {{\n" + ",\n".join(entries) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _grouped(entry: Schema) -> Schema:
    if OUTPUT not in entry:
        return entry
    groups: dict[str, list[str]] = {}
    for code, parts in entry[OUTPUT]["properties"].items():
        groups.setdefault(json.dumps(parts), []).append(code)
    return {**entry, OUTPUT: {"properties": {" ".join(codes): json.loads(parts) for parts, codes in groups.items()}}}


def main(arguments: list[str]) -> int:
    """Print the changes since the last release, or make the contract of the next one."""
    today = promises_of(reference.document(create_app("testing"), "3.1"))
    if arguments == ["--release"]:
        BASELINE.write_text(written(today))
        return 0
    broken = breaks(baseline(), today)
    for kind, found in (("BREAKS", broken), ("adds", additions(baseline(), today))):
        for change in found:
            sys.stdout.write(f"{kind} {change}\n")
    return len(broken) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
