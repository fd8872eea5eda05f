"""Random input for every address and decoder: no 500, no hang, no files left."""

import re
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.hostile.mutations import mangled
from tests.support.hostile.samples import ENDINGS, sample
from tests.support.images import make_jpeg
from tests.support.jobs import id_of
from tests.support.pages import Page
from tests.support.people import Person, part
from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.identify import read_header
from webapp.recipes.outputs import FITS, REQUESTED_FORMATS, Output, Recipe
from webapp.recipes.presets import PRESETS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Create one application for all examples, which leave only accepted jobs."""
    config = Config(instance=tmp_path_factory.mktemp("fuzz") / "instance")
    with running_app(config) as app:
        yield app


@pytest.fixture(scope="module")
def fuzzer(fuzzed: Flask) -> Person:
    return Person(fuzzed.test_client())


@pytest.fixture(scope="module")
def job_id(fuzzer: Person) -> str:
    """Return the id of an existing job."""
    return id_of(fuzzer.submit(make_jpeg()))


def assert_clear(response: TestResponse) -> None:
    """Check that an answer is no internal error, and that a refusal has words."""
    assert response.status_code < 500, response.text
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    if response.is_json:
        detail = response.json["detail"]  # type: ignore[index]
        assert isinstance(detail, str)
        assert detail
    else:
        assert Page(response.text).all("h1, p"), response.text


nonsense = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("0", "-1", "1", "4096", "4097", "1e9", "NaN", "٣", "²", "9" * 5000, " 7 ", "0x10"),
            *("#ffffff", "transparent", "smart", "0.5,0.5", ",", "1.,.1", "9,9", "on", "y", "\0"),
            *("..", "%00", "{{7*7}}", "' OR 1=1 --", "<script>", "\u202e", "\ud7ff", "💥" * 100),
            *FITS,
            *REQUESTED_FORMATS,
            *PRESETS,
        ]
    ),
)
output_field = st.sampled_from(
    [
        *("name", "width", "height", "fit", "format", "quality", "max_kb", "background", "focus"),
        *("enlarge", "keep_copyright", "animated", "transparent"),
    ]
)
field_name = st.one_of(
    st.builds("outputs-{}-{}".format, st.sampled_from(["0", "1", "-1", "99", "x"]), output_field),
    st.sampled_from(["presets", "images", "outputs", "outputs-", "outputs-0", "csrf_token", ""]),
    st.sampled_from(["responsive-widths", "responsive-formats", "keep_hours"]),
    st.text(max_size=20),
)


@given(form=st.dictionaries(field_name, st.lists(nonsense, max_size=3), max_size=8))
def test_any_recipe_is_accepted_or_refused(fuzzer: Person, form: dict[str, list[str]]) -> None:
    form = {"csrf_token": [fuzzer.token()], **form}
    for accept in ("text/html", "application/json"):
        response = fuzzer.client.post("/jobs/open", data=form, headers={"Accept": accept})
        assert_clear(response)
        assert response.status_code in (201, 400, 411, 422)  # A form of nothing has no length.


@given(
    name=st.text(max_size=300),
    kind=st.text(string.printable, max_size=40),
    position=nonsense,
    data=st.one_of(st.binary(max_size=100), st.just(make_jpeg((20, 10)))),
)
def test_any_file_is_accepted_or_refused(
    fuzzer: Person, name: str, kind: str, position: str, data: bytes
) -> None:
    image = part(data, name)
    image.headers["Content-Type"] = re.sub(r"\s", " ", kind)
    response = fuzzer.post("/jobs", images=[image], position=position, presets="square")
    assert_clear(response)
    assert response.status_code in (303, 400, 415, 422)


# All but /healthcheck, which says 503 where no consumer is.
ADDRESSES = [
    *("/", "/docs", "/jobs", "/jobs/open", "/upload_image", "/jobs/{}", "/jobs/{}/panel"),
    *("/jobs/{}/images", "/jobs/{}/close", "/jobs/{}/delete", "/check_job_status/{}"),
    *("/download_thumbnail/{}", "/thumbnails/{}", "/static/{}", "/{}", "/jobs/{}/panel/{}"),
    *("//{}", "/thumbnails/../{}"),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X"]
odd_bytes = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"../../etc/passwd", b"..%2f..%2fetc", b"%00", b"\0", b"\xff\xfe", b"a" * 9000, b"."),
            *(b"\xc0\xae\xc0\xae/", b"//", b"\\..\\", b"CON", b"..;/", b"\r\nX: y", b"?", b"#"),
            *(b"js/../../wsgi.py", b"../jobs.db", b"/etc/passwd", b"secret_key", b"a/b.jpg"),
        ]
    ),
)


@given(
    address=st.sampled_from(ADDRESSES),
    method=st.sampled_from(METHODS),
    ids=st.one_of(odd_bytes, st.none()),
    query=st.one_of(st.just(b""), st.just(b"v=1"), st.builds(b"v=".__add__, odd_bytes)),
)
def test_any_address_and_method_is_answered(
    fuzzer: Person, job_id: str, address: str, method: str, ids: bytes | None, query: bytes
) -> None:
    odd = job_id if ids is None else ids.decode("latin-1")
    response = fuzzer.client.open(
        "/",
        method=method,
        environ_overrides={
            "PATH_INFO": address.replace("{}", odd),  # As a server gives it: bytes in Latin-1.
            "QUERY_STRING": query.decode("latin-1"),
        },
    )
    assert_clear(response)
    assert "root:" not in response.text[:100]


HEADERS = [
    *("ACCEPT", "ACCEPT_ENCODING", "AUTHORIZATION", "CONNECTION", "COOKIE", "EXPECT", "FORWARDED"),
    *("HOST", "HX_REQUEST", "IF_MATCH", "IF_MODIFIED_SINCE", "IF_NONE_MATCH", "IF_RANGE", "ORIGIN"),
    *("RANGE", "REFERER", "SEC_FETCH_SITE", "TRANSFER_ENCODING", "UPGRADE", "USER_AGENT"),
    *("X_CSRFTOKEN", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO"),
    *("X_HTTP_METHOD_OVERRIDE", "X_REQUEST_ID"),
]
header_value = st.one_of(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60),
    st.sampled_from(
        [
            *("*/*", "text/html", "text/html;q=x", "application/json", "a/b" * 1000, ",,,", ";"),
            *(
                "bytes=0-",
                "bytes=-1",
                "bytes=9-1",
                "bytes=0-0," * 500,
                "bytes=" + "9" * 5000,
                "x=1",
            ),
            *("session=", "session=.eJx", "session=" + "a" * 5000, 'a="', "=", "cross-site"),
            *("Mon, 99 Foo 9999 99:99:99 GMT", "evil.example", "a b", "[::1", "a:99999", "http://"),
            *("chunked", "100-continue", "Basic !!!", "Bearer", "Digest a=", 'W/"', "1, 2, 3"),
        ]
    ),
)


@given(
    address=st.sampled_from(["/", "/jobs", "/jobs/{}", "/check_job_status/{}", "/static/icon.svg"]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    headers=st.dictionaries(st.sampled_from(HEADERS), header_value, max_size=4),
    length=st.sampled_from([None, "", "0", "-1", "5", "abc", "9" * 30, "1e3", "+1", " 1"]),
    kind=st.one_of(st.none(), header_value),
)
def test_any_header_is_answered(
    fuzzed: Flask,
    job_id: str,
    address: str,
    method: str,
    headers: dict[str, str],
    length: str | None,
    kind: str | None,
) -> None:
    environ: dict[str, Any] = {f"HTTP_{name}": value for name, value in headers.items()}
    environ |= {} if length is None else {"CONTENT_LENGTH": length}
    environ |= {} if kind is None else {"CONTENT_TYPE": kind}
    client = fuzzed.test_client(use_cookies=False)  # Ours are among the nonsense.
    path = address.format(job_id)
    response = client.open(path, method=method, data=b"hello", environ_overrides=environ)
    assert_clear(response)


BOUNDARY = b"edge"
pieces = st.sampled_from(
    [
        *(b"--edge\r\n", b"--edge--\r\n", b"--edge", b"--other\r\n", b"\r\n", b"\n", b"\r\n\r\n"),
        b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n',
        b'Content-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n',
        b'Content-Disposition: form-data; name="presets"\r\n\r\nsquare\r\n',
        b'Content-Disposition: form-data; filename="a.jpg"\r\n\r\n',
        b"Content-Disposition: form-data; name*=utf-8''%ff; filename*=x'y'%\r\n\r\n",
        b'Content-Disposition: form-data; name="' + b"n" * 9000 + b'"\r\n\r\n',
        b"Content-Disposition: attachment\r\n\r\n",
        b"Content-Disposition:\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=edge\r\n",
        b"Content-Transfer-Encoding: base64\r\nContent-Length: -5\r\n",
        b": \r\n\0\xff\r\n\r\n",
        make_jpeg((8, 8)) + b"\r\n",
        b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 800,
        b'--edge\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n\r\n' * 300,
    ]
)


@given(
    body=st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=10).map(b"".join),
    address=st.sampled_from(["/upload_image", "/jobs", "/jobs/open"]),
    boundary=st.sampled_from([BOUNDARY.decode(), "", "other", '"edge', "edge" * 100, "\xff"]),
)
def test_any_body_is_accepted_whole_or_refused(
    fuzzed: Flask, fuzzer: Person, body: bytes, address: str, boundary: str
) -> None:
    response = fuzzer.client.post(
        address,
        data=body,
        headers={"X-CSRFToken": fuzzer.token()},
        content_type=f"multipart/form-data; boundary={boundary}",
    )
    assert_clear(response)
    storage = fuzzed.extensions["jobs"].storage
    assert list(storage.tmp.iterdir()) == []
    jobs = fuzzed.extensions["jobs"]
    assert {path.name for path in storage.originals.iterdir()} <= set(jobs.store.jobs.ids())


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    """Create a decoder whose server all examples share."""
    return Decoder.from_config(Config(decode_seconds=5))


@pytest.mark.parametrize("ending", ENDINGS)
@given(seed=st.integers(0, 2**32 - 1))
def test_mangled_image_is_made_or_refused(decoder: Decoder, ending: str, seed: int) -> None:
    recipe = Recipe((Output("still", 32, 32, "cover"), Output("a", 32, 32, format="webp")))
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "made"
        made.mkdir()
        source.write_bytes(mangled(sample(ending), seed))
        verdict = judge(source, decoder, recipe, made)
        assert verdict not in ("timed_out", "crashed")
        assert bool(verdict) != bool(list(made.iterdir()))


def judge(source: Path, decoder: Decoder, recipe: Recipe, folder: Path) -> str | None:
    """Upload and process a file; return the code of its error, or None."""
    try:
        read_header(source, decoder.image)
        decoder.make_thumbnails(source, recipe, folder)
    except ImageError as error:
        return error.code
    return None
