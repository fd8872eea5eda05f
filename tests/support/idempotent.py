"""A view that makes jobs with an Idempotency-Key, and a process that dies in it.

python -m tests.support.idempotent INSTANCE STEP sends one request, and kills itself after a step.
"""

import os
import signal
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from webapp.config import Config
from webapp.jobs.idempotency import Hold
from webapp.jobs.upload import Upload
from webapp.recipes.presets import PRESETS
from webapp.web import upload_request
from webapp.web.app_context import current_jobs
from webapp.web.clients import become_owner
from webapp.web.idempotency import idempotent
from webapp.web.security import csrf
from webapp.web.upload_request import received_upload

PATH = "/idempotent"
Step = Callable[[str], None]  # Called with the name of each step.


def add_view(app: Flask, step: Step = lambda name: None) -> None:
    """Add a view that makes a job of a preset and some files, as programs send them."""

    def create() -> ResponseReturnValue:
        with idempotent() as attempt:
            step("begun")
            files = [
                (received_upload(file), file.filename or "")
                for file in request.files.getlist("images")
            ]
            fields = request.form.to_dict()
            if first := attempt.replay(fields, files):
                return first
            step("read")
            job_id = attempt.job_id or _create(fields["preset"], files, attempt.hold, step)
            step("made")
            job = current_jobs().job(job_id)
            answer = jsonify(id=job_id, images=len(job.images), pad="." * int(fields.get("pad", 0)))
            kept = attempt.answer((answer, 201, {"Location": f"/jobs/{job_id}"}))
            step("answered")
            return kept

    app.add_url_rule(PATH, "idempotent", csrf.exempt(create), methods=["POST"])
    upload_request.TAKE_SEVERAL.add("idempotent")


def _create(preset: str, files: list[tuple[Upload, str]], hold: Hold | None, step: Step) -> str:
    jobs = current_jobs()
    job_id = jobs.submit(PRESETS[preset].recipe, become_owner(), hold=hold)
    step("submitted")
    try:
        for upload, name in files:
            jobs.add_image(job_id, upload, name, None, "127.0.0.1", reuses=True)
            step("added")
        if files:
            jobs.close(job_id)
    except Exception:
        jobs.delete(job_id)
        raise
    return job_id


def send(
    client: FlaskClient,
    key: str | None = "key",
    images: tuple[tuple[bytes, str], ...] = ((make_jpeg(), "a.jpg"),),
    path: str = PATH,
    **fields: Any,
) -> TestResponse:
    """Send a request, with a key if there is one."""
    form = {"preset": "square", **fields}
    if images:
        form["images"] = [(BytesIO(data), name) for data, name in images]
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, data=form, headers=headers, content_type="multipart/form-data")


def main(instance: Path, last: str) -> None:
    """Send a request in this process, and kill it after a step."""

    def step(name: str) -> None:
        if name == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with running_app(Config(instance=instance, web_threads=1)) as app:
        add_view(app, step)
        send(app.test_client())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
