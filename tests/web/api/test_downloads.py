"""Download what a job made over the API."""

import json
from io import BytesIO
from zipfile import ZipFile

from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.programs import create
from webapp.jobs.lifecycle import Jobs


def test_manifest_is_that_of_the_zip(client: FlaskClient, jobs: Jobs) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    work(jobs)
    query = {"names": "{number}/{output}"}
    packed = client.get(f"{url}/thumbnails.zip", query_string=query).data
    with ZipFile(BytesIO(packed)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["images"][0]["thumbnails"][0]["path"] == "thumbnails/01/square.jpg"
    assert client.get(f"{url}/manifest.json", query_string=query).json == manifest
