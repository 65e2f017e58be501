"""The OpenAPI document: whole, and of the same types as the API."""

import json
import re

import pytest

from feeds.command import PutUser
from publisher.answers import UserAnswer, Written
from publisher.app import ENDPOINTS, create_app
from publisher.endpoint import Endpoint
from publisher.openapi import document, path_names
from publisher.problem import FieldError, Problem, field_name, shortened
from publisher.writes import write

DOCUMENT = document(ENDPOINTS)


def test_every_endpoint_is_in_the_document() -> None:
    """And nothing else."""
    listed = {f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item}
    assert listed == {endpoint.key for endpoint in ENDPOINTS}


def test_every_reference_leads_somewhere() -> None:
    """Schemas name each other."""
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert names <= DOCUMENT["components"]["schemas"].keys()
    assert {"CreatePost", "Written", "ProblemAnswer", "PutSettings"} <= DOCUMENT["components"]["schemas"].keys()


def test_operations_have_ids_of_their_own() -> None:
    """Generators of clients name functions by them."""
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids) == len(ENDPOINTS)
    assert "put_api_users_user_follows_author" in ids


def test_a_body_does_not_ask_for_what_the_path_says() -> None:
    """The command has ``user`` and ``kind``; the body has neither."""
    operation = DOCUMENT["paths"]["/api/users/{user}"]["put"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert (sorted(schema["properties"]), schema["required"]) == (["about", "name", "version"], ["name"])
    assert [parameter["name"] for parameter in operation["parameters"]] == ["user"]
    assert schema["additionalProperties"] is False


def test_only_the_document_itself_is_open() -> None:
    """Everything else wants the token."""
    open_paths = [endpoint.path for endpoint in ENDPOINTS if endpoint.public]
    assert open_paths == ["/api/openapi.json"]
    assert DOCUMENT["security"] == [{"token": []}]
    assert DOCUMENT["paths"]["/api/openapi.json"]["get"]["security"] == []


def test_every_name_in_a_path_is_a_field_of_its_command() -> None:
    """Or the path would say what nobody reads."""
    for endpoint in ENDPOINTS:
        if endpoint.body is not None:
            assert set(path_names(endpoint.path)) <= endpoint.body.model_fields.keys(), endpoint.key


def test_a_body_that_may_be_left_out_has_no_required_field() -> None:
    """But those in the path."""
    for endpoint in ENDPOINTS:
        if endpoint.body is not None and endpoint.body_optional:
            required = {name for name, field in endpoint.body.model_fields.items() if field.is_required()}
            assert required <= set(path_names(endpoint.path)), endpoint.key


def test_a_tag_in_a_path_is_no_id() -> None:
    """It may hold anything that a tag may."""
    (user, tag) = DOCUMENT["paths"]["/api/users/{user}/tags/{tag}"]["put"]["parameters"]
    assert "pattern" in user["schema"]
    assert tag["schema"] == {"type": "string", "minLength": 1, "maxLength": 64}


def test_an_answer_without_a_body_has_no_schema() -> None:
    """Activity is noted, and there is nothing to say."""
    responses = DOCUMENT["paths"]["/api/users/{user}/activity"]["put"]["responses"]
    assert responses["204"] == {"description": "Done"}


def test_posts_take_an_idempotency_key() -> None:
    """And no other method does."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            has_key = any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
            assert has_key == (method == "post"), path


def test_an_endpoint_is_named_by_method_and_path() -> None:
    """As the documentation spells it."""
    endpoint = Endpoint("PUT", "/api/users/{user}", "Put", write, Written, PutUser, status=202)
    assert endpoint.key == "PUT /api/users/{user}"
    assert document([endpoint])["paths"].keys() == {"/api/users/{user}"}


def test_an_empty_token_is_refused_at_start() -> None:
    """It would let everybody in."""
    with pytest.raises(ValueError, match="EDGEBAKE_API_TOKEN"):
        create_app(None, token="", progress=None, activity=None, visits=None, jobs=None)  # type: ignore[arg-type]  # it does not come to use them


@pytest.mark.parametrize(
    ("location", "name"),
    [((), "body"), (("title",), "title"), (("commands", 3, "tags", 0), "commands[3].tags[0]"), ((0, "a"), "[0].a")],
)
def test_a_field_is_named_as_a_reader_would_write_it(location: tuple[int | str, ...], name: str) -> None:
    """Dots and brackets."""
    assert field_name(location) == name


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        (True, True),
        (7, 7),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_a_value_is_said_back_short(value: object, said: object) -> None:
    """Numbers as they are, the rest as text."""
    assert shortened(value) == said


def test_a_problem_without_errors_says_none() -> None:
    """And one with a header has it."""
    response = Problem(405, "no", headers={"Allow": "GET"}).response()
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "Method Not Allowed",
        "status": 405,
        "detail": "no",
    }
    assert (response.headers["allow"], response.media_type) == ("GET", "application/problem+json")
    errors = json.loads(bytes(Problem(422, "x", [FieldError("a", 1, "b")]).response().body))["errors"]
    assert errors == [{"field": "a", "value": 1, "reason": "b"}]


def test_an_answer_has_the_fields_that_it_documents() -> None:
    """Answers and schemas are the same types."""
    schema = DOCUMENT["components"]["schemas"]["UserAnswer"]
    assert schema["properties"].keys() == UserAnswer.model_fields.keys()
