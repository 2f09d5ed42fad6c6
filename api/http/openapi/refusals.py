"""Refusals that many operations have in common: said once, as a component, and referred to."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from api.http.answers.negotiation import JSON, PROBLEM
from api.http.openapi.enums import VERBS, pascal
from core.platform.text.json_out import dump

Part = dict[str, Any]

_REFERENCES = "#/components/responses/"


def share(paths: dict[str, Part]) -> dict[str, Part]:
    """Return the refusals of all operations by the name of their code, and leave references in their places.

    Of those with one code, the most frequent becomes the component; what says something else stays where it is.
    """
    found: dict[str, Counter[bytes]] = {}
    for name, _, refusal in _refusals(paths):
        found.setdefault(name, Counter())[dump(refusal)] += 1
    chosen = {name: counts.most_common(1)[0][0] for name, counts in found.items()}
    shared: dict[str, Part] = {}
    for name, place, refusal in list(_refusals(paths)):
        if dump(refusal) == chosen[name]:
            responses, status = place
            shared[name] = refusal
            responses[status] = {"$ref": _REFERENCES + name}
    return dict(sorted(shared.items()))


def _refusals(paths: dict[str, Part]) -> Iterator[tuple[str, tuple[Part, str], Part]]:
    """Yield each refusal with the name of its code, and its place: the answers of an operation, and its status."""
    for item in paths.values():
        for verb in (verb for verb in VERBS if verb in item):
            responses = item[verb]["responses"]
            for status, answer in responses.items():
                sample = answer.get("content", {}).get(JSON, {}).get("example")
                if PROBLEM in answer.get("content", {}) and sample is not None:
                    yield pascal(sample["error"]["code"]), (responses, status), answer
