"""Operators create, list and revoke API tokens."""

import json

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.people import upload_image
from webapp.jobs.lifecycle import Jobs


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["tokens", *arguments])


def test_created_token_is_alone_on_standard_output_and_works(
    app: Flask, client: FlaskClient
) -> None:
    result = run(app, "create", "build server")
    headers = {"Authorization": f"Bearer {result.stdout.removesuffix(chr(10))}"}
    assert upload_image(client, make_jpeg(), headers=headers).status_code == 202
    assert "not shown again" in result.stderr
    assert json.loads(run(app, "list", "--json").stdout)[0]["jobs"] == 1


def test_list_names_tokens_without_their_secrets(app: Flask) -> None:
    secret = run(app, "create", "shop", "--jobs-per-hour", "7", "--mb-per-hour", "9").stdout.strip()
    table = run(app, "list").stdout
    heading, row = table.splitlines()
    assert heading.split() == ["Name", "Id", "Created", "Last", "used", "Jobs/hour", "MB/hour",
                               "Jobs", "Revoked"]  # fmt: skip
    assert row.split()[0] == "shop"
    assert row.split()[3:] == ["never", "7", "9", "0"]
    assert secret not in table + run(app, "list", "--json").stdout


def test_list_is_json_for_programs(app: Flask) -> None:
    run(app, "create", "shop", "--jobs-per-hour", "7")
    (token,) = json.loads(run(app, "list", "--json").stdout)
    assert token.keys() == {
        "id", "name", "created", "last_used", "revoked", "jobs_per_hour", "mb_per_hour", "jobs",
    }  # fmt: skip
    assert (token["jobs_per_hour"], token["mb_per_hour"], token["revoked"]) == (7, None, None)
    assert token["created"].endswith("Z")


def test_revoked_token_is_listed_as_revoked(app: Flask) -> None:
    run(app, "create", "shop")
    assert run(app, "revoke", "shop").exit_code == 0
    assert json.loads(run(app, "list", "--json").stdout)[0]["revoked"]
    again = run(app, "revoke", "shop")
    assert (again.exit_code, "There is no valid token called shop." in again.output) == (1, True)


def test_name_of_a_valid_token_is_taken(app: Flask) -> None:
    run(app, "create", "shop")
    result = run(app, "create", "shop")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is a token called shop." in result.stderr


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, " shop"])
def test_name_that_cannot_be_shown_is_refused(app: Flask, name: str) -> None:
    result = run(app, "create", name)
    assert (result.exit_code, "Give a name" in result.output) == (2, True)


@pytest.mark.parametrize("option", ["--jobs-per-hour", "--mb-per-hour"])
def test_limit_below_one_is_refused(app: Flask, option: str) -> None:
    assert run(app, "create", "shop", option, "0").exit_code == 2


def test_secret_of_webhooks_is_printed_as_often_as_asked(app: Flask, jobs: Jobs) -> None:
    run(app, "create", "shop")
    secret = run(app, "secret", "shop").stdout.strip()
    assert run(app, "secret", "shop").stdout.strip() == secret
    (token,) = jobs.store.tokens.all()
    assert jobs.store.webhook_secrets.valid(token.owner) == [secret]


def test_rotated_secret_signs_beside_the_one_before(app: Flask, jobs: Jobs) -> None:
    run(app, "create", "shop")
    before = run(app, "secret", "shop").stdout.strip()
    after = run(app, "rotate-secret", "shop").stdout.strip()
    (token,) = jobs.store.tokens.all()
    assert jobs.store.webhook_secrets.valid(token.owner) == [after, before]


@pytest.mark.parametrize("command", ["secret", "rotate-secret"])
def test_only_a_valid_token_has_a_secret(app: Flask, command: str) -> None:
    run(app, "create", "shop")
    run(app, "revoke", "shop")
    result = run(app, command, "shop")
    assert (result.exit_code, "There is no valid token called shop." in result.output) == (1, True)
