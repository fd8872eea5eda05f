"""What sets up other programs: the curl command of a job, and ShareX."""

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import add_image, job_at, newest_job, open_jobs, recipe_of, work
from tests.support.origins import answer, origin
from tests.support.people import Person, Script, multipart, part, upload_image
from webapp.config import Config, PrivateHosts
from webapp.jobs.fetches import FetchWork
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.outputs import Output, Recipe
from webapp.recipes.presets import PRESETS

TOKEN = "a-long-access-token"


def command_on(person: Person, path: str) -> str:
    return person.page(path).one("#command").text()


def options_of(command: str) -> list[tuple[str, str]]:
    """List the options of a curl command, but for its files, as a shell reads them."""
    words = shlex.split(command)
    return [
        (option, value)
        for option, value in pairwise(words)
        if option in ("-F", "-H", "--form-string") and not value.startswith("file=")
    ]


def fields_of(command: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for option, text in options_of(command):
        if option != "-H":
            name, _, value = text.partition("=")
            fields.setdefault(name, []).append(value)
    return fields


def give_recipe(jobs: Jobs, path: str, *outputs: Output) -> Recipe:
    """Give the job of a page another recipe, as its owner would."""
    recipe = Recipe(outputs)
    jobs.remake(job_at(jobs, path).id, recipe, "")
    return recipe


SQUARE, *_ = PRESETS["square"].recipe.outputs
WEB_SET = PRESETS["web-set"].recipe.outputs


@pytest.mark.parametrize(
    "outputs",
    [
        WEB_SET,
        (*WEB_SET, SQUARE),
        (SQUARE, Output("640w", 640, None)),
        (Output("640w", 640, None), SQUARE),
        WEB_SET[:-1],
        (Output("640w", 640, None), Output("640w-2", 640, None, quality=50)),
        (Output("300h-source", None, 300, format="source"),),
        (replace(SQUARE, background="#ff0000"), Output("a", 9, 9, "cover", "png", focus="smart")),
        (Output("b", 9, 9, "cover", "avif", 7, max_bytes=9000, focus=(0.25, 1.0), color="keep"),),
        (Output("c", 9, 9, "pad", "gif", background="transparent", enlarge=True, animated=True),),
        (Output("d", 9, None, keep_copyright=True),),
    ],
    ids=str,
)
def test_command_makes_a_job_of_the_same_recipe(
    person: Person, jobs: Jobs, outputs: tuple[Output, ...]
) -> None:
    path = person.submit(make_jpeg())
    recipe = give_recipe(jobs, path, *outputs)
    fields: dict[str, Any] = fields_of(command_on(person, path))
    jobs.delete(job_at(jobs, path).id)
    files = [part(make_jpeg(), "a.jpg")]
    answer = person.client.post("/api/v1/jobs", **multipart(files=files, **fields))
    assert answer.status_code == 202, answer.text
    assert recipe_of(newest_job(jobs)) == recipe


def test_command_names_a_preset(person: Person) -> None:
    assert command_on(person, person.submit(make_jpeg(), presets="web-set")) == (
        "curl http://localhost/api/v1/jobs \\\n  -F file=@1.jpg \\\n  -F preset=web-set"
    )


def test_command_has_the_chosen_time_and_name(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), keep_hours="72")
    jobs.rename(job_at(jobs, path).id, "@it's; mine")
    fields = fields_of(command_on(person, path))
    assert (fields["keep_hours"], fields["name"]) == (["72"], ["@it's; mine"])


def test_command_has_no_time_that_nobody_chose(person: Person) -> None:
    assert "keep_hours" not in command_on(person, person.submit(make_jpeg()))


def test_command_keeps_until_deleted(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, web_threads=1, max_kept_mb=1)) as app:
        person = Person(app.test_client())
        command = command_on(person, person.submit(make_jpeg(), keep_hours="inf"))
    assert fields_of(command)["keep_hours"] == ["inf"]


def test_command_needs_the_token_where_access_is_closed(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, web_threads=1, access_token=TOKEN)) as app:
        person = Person(app.test_client())
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = upload_image(person.client, make_jpeg(), headers=headers)
        command = command_on(person, f"/jobs/{answer.json['job_id']}")  # type: ignore[index]
    assert '-H "Authorization: Bearer $TOKEN"' in command
    assert TOKEN not in command


def test_command_sends_photos_one_by_one_where_they_are_too_many_for_a_request(
    tmp_path: Path,
) -> None:
    with running_app(
        Config(instance=tmp_path, web_threads=1, max_request_mb=1, max_file_mb=1)
    ) as app:
        person = Person(app.test_client())
        job = person.client.post("/api/v1/jobs", json={"presets": ["square"]}).headers["Location"]
        for number in range(2):
            photo = make_jpeg() + bytes(600_000)
            person.client.put(f"{job}/images?filename={number}.jpg", data=photo)
        command = command_on(person, job.replace("http://localhost/api/v1", ""))
    assert "for photo in 0.jpg 1.jpg; do" in command
    assert """--json '{"presets":["square"]}')""" in command


def test_command_is_not_for_guests(person: Person, stranger: Person) -> None:
    assert not stranger.page(person.submit(make_jpeg())).all("#command")


def fetch(jobs: Jobs, path: str) -> str:
    """Add a photo that is fetched to the job of a page; return its link."""
    with origin(answer(make_jpeg())) as server:
        hosts = PrivateHosts(server.host)
        jobs = open_jobs(replace(jobs.config, fetch_urls=True, allowed_private_hosts=hosts))
        link = f"{server.url}?of=it's;type=b&c"
        jobs.add_url(job_at(jobs, path).id, link, None, None, "client")
        run = FetchWork(jobs.store, jobs.storage, jobs.config, lambda: None, lambda: False).take()
        assert run
        run()
        jobs.store.db.close()
    return link


def open_job(script: Script) -> str:
    return script.create()["url"].removeprefix("http://localhost")


def test_command_has_the_link_of_a_photo_that_was_fetched(script: Script, jobs: Jobs) -> None:
    path = open_job(script)
    person = Person(script.client)
    assert command_on(person, path) == ""
    link = fetch(jobs, path)
    assert fields_of(command_on(person, path)) == {"url": [link], "preset": ["square"]}


def test_there_is_no_command_for_links_beside_files(script: Script, jobs: Jobs) -> None:
    path = open_job(script)
    person = Person(script.client)
    add_image(jobs, job_at(jobs, path).id, make_jpeg())
    assert "file=@" in command_on(person, path)
    fetch(jobs, path)
    assert command_on(person, path) == ""


def test_command_follows_what_is_added(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    version = job_at(jobs, path).version
    give_recipe(jobs, path, Output("9w", 9, None))
    panel = person.get(f"{path}/panel?v={version}")
    assert '"width":9' in panel.text.replace("&#34;", '"')


# ShareX


def uploader(client: FlaskClient, preset: str) -> dict[str, Any]:
    answer = client.get(f"/docs/sharex.sxcu?preset={preset}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == (
        f"attachment; filename=thumbnails-{preset}.sxcu"
    )
    settings: dict[str, Any] = answer.get_json()
    return settings


def resolve(expression: str, answer: Any) -> str:
    """Read a value of an answer as ShareX reads `{json:…}`: a JSONPath (RFC 9535)."""
    path = re.fullmatch(r"\{json:([^{}|]+)\}", expression)
    assert path, expression
    for key, index, start in re.findall(r"(\w+)\b(?!:?\])|\[(\d+)\]|\[(-\d+):\]", path[1]):
        answer = answer[key] if key else answer[int(index or start)]
    assert isinstance(answer, str)
    return answer


@pytest.mark.parametrize(
    ("preset", "side", "largest", "smallest"),
    [("square", 2000, 100, 100), ("web-set", 2000, 1920, 320), ("web-set", 400, 400, 320)],
)
def test_sharex_finds_the_thumbnails_in_an_answer(
    client: FlaskClient, jobs: Jobs, preset: str, side: int, largest: int, smallest: int
) -> None:
    settings = uploader(client, preset)
    file = part(make_jpeg(size=(side, side)), "a.jpg")
    fields = {settings["FileFormName"]: file, **settings["Arguments"]}
    assert settings["RequestURL"] == "http://localhost/api/v1/jobs?wait=20"
    answer = client.open(
        settings["RequestURL"], method=settings["RequestMethod"], **multipart(**fields)
    )
    work(jobs)
    job = client.get(answer.headers["Location"]).get_json()
    [image] = job["images"]
    widths = {one["url"]: one["width"] for one in image["thumbnails"]}
    assert widths[resolve(settings["URL"], job)] == largest
    assert widths[resolve(settings["ThumbnailURL"], job)] == smallest


def test_sharex_finds_the_words_of_an_error(client: FlaskClient) -> None:
    settings = uploader(client, "square")
    file = part(b"words", "notes.txt")
    fields = {settings["FileFormName"]: file, **settings["Arguments"]}
    answer = client.post(settings["RequestURL"], **multipart(**fields))
    assert answer.status_code == 415
    assert "not an image" in resolve(settings["ErrorMessage"], answer.json)


def test_sharex_file_has_the_keys_that_sharex_reads(client: FlaskClient) -> None:
    settings = uploader(client, "card")
    assert settings["Version"] == "14.0.0"
    assert settings["DestinationType"] == "ImageUploader"
    assert settings["Body"] == "MultipartFormData"
    assert "Headers" not in settings


def test_sharex_file_has_a_place_for_the_token(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, web_threads=1, access_token=TOKEN)) as app:
        headers = uploader(app.test_client(), "card")["Headers"]
    assert headers == {"Authorization": "Bearer YOUR-TOKEN"}


def test_sharex_file_of_an_unknown_preset_is_refused(client: FlaskClient) -> None:
    answer = client.get("/docs/sharex.sxcu?preset=huge")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_recipe")  # type: ignore[index]


def test_sharex_file_of_a_preset_above_the_limits_is_refused(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, web_threads=1, max_side=300)) as app:
        answer = app.test_client().get("/docs/sharex.sxcu?preset=web-set")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_recipe")  # type: ignore[index]
