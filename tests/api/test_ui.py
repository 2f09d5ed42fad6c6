"""The pages for people: Swagger UI and the reference, their policy, and the files that they load."""

import gzip
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.document import document_of


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def files_of(page: str) -> list[str]:
    """Return what a page loads."""
    return re.findall(r'(?:src="|<link [^>]*href=")([^"]+)"', page)


@pytest.mark.parametrize("path", ["/api/", "/api/reference"])
def test_a_page_runs_no_script_that_is_written_into_it(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", page.text) == []
    # All is on this host: the page works offline.
    assert re.findall(r'(?:src|href)="(?!/(?!/)|#)', page.text) == []
    assert '<html lang="en">' in page.text
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page.text
    again = client.get(path, headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "no-cache")


def test_files_are_kept_for_good_and_come_compressed(client: FlaskClient) -> None:
    paths = files_of(client.get("/api/").text + client.get("/api/reference").text)
    assert {path.rpartition(".")[2] for path in paths} == {"js", "css", "png"}
    for path in paths:
        plain = client.get(path)
        packed = client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert plain.status_code == packed.status_code == 200
        assert (
            plain.headers["Cache-Control"] == packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        )
        assert plain.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert plain.mimetype in {"text/javascript", "text/css", "image/png"}
        assert "Content-Encoding" not in plain.headers
        if plain.mimetype == "image/png":
            assert packed.data == plain.data
            continue
        assert packed.headers["Content-Encoding"] == "gzip"
        assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(packed.data) == plain.data
        assert client.get(path, headers={"Accept-Encoding": "gzip;q=0, identity"}).data == plain.data


def test_the_address_of_another_version_is_not_kept(client: FlaskClient) -> None:
    path = next(path for path in files_of(client.get("/api/").text) if path.endswith("start.js"))
    other = path.replace(path.split("/")[3], "0123456789ab")
    assert other != path
    assert client.get(other).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/api/ui/x/none.js", "/api/ui/x/..%2f__init__.py", "/api/ui/x/index.html", "/swaggerui/swagger-ui.css"]
)
def test_there_are_no_other_files(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_reference_has_every_operation_and_no_link_that_leads_nowhere(app: Flask, client: FlaskClient) -> None:
    page = client.get("/api/reference").text
    headings = set(re.findall(r'<h3 id="[^"]+">([^<]+)</h3>', page))
    operations = {
        f"{verb.upper()} {path}"
        for path, item in document_of(app)["paths"].items()
        for verb in item
        if verb != "parameters"
    }
    assert operations <= headings
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)
    assert 'href="/api/"' in page
