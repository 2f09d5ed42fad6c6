"""Validators and client generators of other people accept the OpenAPI document."""

import keyword
from collections import Counter
from copy import deepcopy
from typing import Any

from flask import Flask
from jsonschema import Draft4Validator

from tests.support.document import document_of

VERBS = ("get", "post", "put", "patch", "delete")


def pascal(name: str) -> str:
    """Return a name as generators write those of classes."""
    return "".join(word[:1].upper() + word[1:] for word in name.replace("-", "_").split("_"))


def operation_ids(document: dict[str, Any]) -> list[str]:
    return [item[verb]["operationId"] for item in document["paths"].values() for verb in VERBS if verb in item]


def parameters(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for item in document["paths"].values():
        for part in [item, *(item[verb] for verb in VERBS if verb in item)]:
            found += part.get("parameters", [])
    return found


def test_the_document_is_valid_swagger(app: Flask) -> None:
    # Here and not above, because each worker of the suite loads this file, and one of them runs it.
    import schemathesis

    schemathesis.openapi.from_dict(document_of(app)).validate()


def test_the_document_is_valid_for_the_validator_that_bravado_uses(app: Flask) -> None:
    """It asks what no schema can: whether defaults fit, references lead somewhere, and names are there once."""
    from swagger_spec_validator import validator20

    # It writes into what it looks at.
    validator20.validate_spec(deepcopy(document_of(app)))


def test_only_bodies_have_an_example(app: Flask) -> None:
    """Swagger 2.0 knows none elsewhere, which the validator tells in 40 lines."""
    assert [one for one in parameters(document_of(app)) if "example" in one] == []


def test_every_id_of_an_operation_is_an_identifier_of_its_own(app: Flask) -> None:
    ids = operation_ids(document_of(app))
    assert [one for one in ids if not one.isidentifier() or not one.isascii() or keyword.iskeyword(one)] == []
    # Some generators write them in camel case, and some file systems know no capitals.
    assert [one for one, count in Counter(pascal(one).lower() for one in ids).items() if count > 1] == []


def test_no_name_of_a_model_is_one_that_generators_make_of_others(app: Flask) -> None:
    document = document_of(app)
    models = document["definitions"]
    made = set()
    for name, model in models.items():
        for field in model.get("properties", {}):
            # Of an enum, of an object in it, and of the entries of a list.
            made |= {name + pascal(field) + end for end in ("", "Enum", "Item", "Inner", "Type")}
        # Go's generator calls the functions that make them so.
        made |= {f"New{name}", f"New{name}WithDefaults", f"Nullable{name}"}
    for one in operation_ids(document):
        made |= {pascal(one) + end for end in ("Request", "Response", "Body", "Params", "Data")}
    assert sorted({name.lower() for name in models} & {name.lower() for name in made}) == []
    assert len({name.lower() for name in models}) == len(models)


def test_no_model_has_a_field_of_its_own_name(app: Flask) -> None:
    """A generator of Python that makes one in a variable of this name has none left for the field."""
    models = document_of(app)["definitions"]
    assert [
        name for name, model in models.items() if name.lower() in {pascal(one).lower() for one in model["properties"]}
    ] == []


def test_numbers_of_rows_have_64_bits_everywhere(app: Flask) -> None:
    """A generator that is told nothing takes 32."""
    document = document_of(app)
    ids = [one for one in parameters(document) if one.get("type") == "integer" and one["name"].endswith("id")]
    for model in document["definitions"].values():
        ids += [part for name, part in model["properties"].items() if name == "id" or name.endswith("_id")]
    assert ids
    assert {one.get("format") for one in ids if one["type"] == "integer"} == {"int64"}


def test_every_sample_of_a_refusal_has_the_code_of_its_status(app: Flask) -> None:
    document = document_of(app)
    validator = Draft4Validator({"$ref": "#/definitions/ErrorResponse", "definitions": document["definitions"]})
    codes: dict[str, set[str]] = {}
    for item in document["paths"].values():
        for verb in item.keys() & set(VERBS):
            for status, answer in item[verb]["responses"].items():
                if answer.get("schema") == {"$ref": "#/definitions/ErrorResponse"}:
                    shown = answer["examples"]["application/json"]
                    validator.validate(shown)
                    codes.setdefault(status, set()).add(shown["error"]["code"])
                    # Only where there is something to name.
                    assert ("details" in shown["error"]) == (status in ("400", "422"))
    assert codes == {
        "400": {"bad_request"},
        "401": {"unauthenticated"},
        "403": {"forbidden"},
        "404": {"not_found"},
        "406": {"not_acceptable"},
        "409": {"conflict"},
        "410": {"gone"},
        "412": {"precondition_failed"},
        "413": {"content_too_large"},
        "415": {"unsupported_media_type"},
        "416": {"requested_range_not_satisfiable"},
        "422": {"validation_failed"},
        "428": {"precondition_required"},
        "429": {"rate_limited"},
        "500": {"internal_error"},
        "503": {"unavailable"},
    }
