"""A person signs in with an API token, and then sees and changes its jobs."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.people import Person, find_token, multipart, upload_image
from webapp.config import Config, HeaderName, Origins
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import MAX_WRONG_TOKENS
from webapp.jobs.tokens import create_token

ACCESS_TOKEN = "a-token-that-is-hard-to-guess"
UNKNOWN = "thumb_" + "A" * 43


@pytest.fixture
def token(jobs: Jobs) -> str:
    return create_token(jobs.store, "shop") or ""


@pytest.fixture
def job_id(client: FlaskClient, token: str) -> str:
    """Return the id of a job that a program made with the token."""
    return made_by(client, token)


@pytest.fixture
def signed_in(person: Person, token: str) -> Person:
    sign_in(person, token)
    return person


def made_by(client: FlaskClient, token: str) -> str:
    answer = upload_image(client, make_jpeg(), headers={"Authorization": f"Bearer {token}"})
    return (answer.json or {})["job_id"]  # type: ignore[no-any-return]


def sign_in(person: Person, token: str, path: str = "/jobs") -> TestResponse:
    """Fill in the sign-in page that leads to a path."""
    page = person.client.get("/sign-in", query_string={"next": path})
    form = {"csrf_token": find_token(page.text), "token": token, "next": path}
    return person.client.post("/sign-in", data=form, headers={"Accept": "text/html"})


def owners(jobs: Jobs) -> list[str | None]:
    return [jobs.job(job_id).owner for job_id in jobs.store.jobs.ids()]


def test_guest_of_a_job_of_a_token_is_led_to_its_page(
    person: Person, job_id: str, token: str
) -> None:
    (address,) = person.page(f"/jobs/{job_id}").values('a[href^="/sign-in"]', "href")
    answer = sign_in(person, token, address.partition("=")[2])
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job_id}")
    assert "Delete" in person.get(f"/jobs/{job_id}").text


def test_guest_of_a_job_of_a_browser_is_not_asked_to_sign_in(
    person: Person, stranger: Person
) -> None:
    assert "/sign-in" not in stranger.get(person.submit(make_jpeg())).text


def test_empty_list_of_jobs_leads_to_the_sign_in(person: Person) -> None:
    assert "/sign-in?next=/jobs" in person.get("/jobs").text
    person.submit(make_jpeg())
    assert person.get("/jobs").text.count("/sign-in") == 1  # Shown once the list is empty.


def test_person_sees_the_jobs_of_the_token(signed_in: Person, job_id: str) -> None:
    page = signed_in.get("/jobs").text
    assert f"/jobs/{job_id}" in page
    assert "Made in this browser" not in page


def test_every_page_says_who_is_signed_in(signed_in: Person, job_id: str) -> None:
    for path in ("/", "/jobs", f"/jobs/{job_id}", "/docs", "/jobs/nothing"):
        page = signed_in.get(path).text
        assert "Signed in as </span><bdi>shop</bdi>" in page
        assert "Sign out" in page


def test_person_changes_a_job_of_the_token(signed_in: Person, jobs: Jobs, job_id: str) -> None:
    assert signed_in.post(f"/jobs/{job_id}/delete").status_code == 303
    assert job_id not in jobs.store.jobs.ids()


def test_new_jobs_are_the_token_s(signed_in: Person, jobs: Jobs) -> None:
    signed_in.submit(make_jpeg())
    assert owners(jobs) == [jobs.store.tokens.all()[0].owner]


def test_session_holds_the_id_and_not_the_token(signed_in: Person, jobs: Jobs, token: str) -> None:
    with signed_in.client.session_transaction() as session:
        assert session["token"] == (jobs.store.tokens.all()[0].id, None)
        assert token.removeprefix("thumb_") not in repr(dict(session))


def test_jobs_of_another_token_stay_closed(
    signed_in: Person, client: FlaskClient, jobs: Jobs
) -> None:
    job_id = made_by(client, create_token(jobs.store, "other") or "")
    assert signed_in.post(f"/jobs/{job_id}/delete").status_code == 403
    assert job_id not in signed_in.get("/jobs").text


def test_person_who_signs_in_with_another_token_acts_as_that(signed_in: Person, jobs: Jobs) -> None:
    sign_in(signed_in, create_token(jobs.store, "other") or "")
    assert "<bdi>other</bdi>" in signed_in.get("/").text


def test_person_signs_out_and_has_the_jobs_of_the_browser_again(
    person: Person, jobs: Jobs, job_id: str, token: str
) -> None:
    own = person.submit(make_jpeg())
    sign_in(person, token)
    assert own not in person.get("/jobs").text
    assert person.post("/sign-out").headers["Location"] == "/"
    page = person.get("/jobs").text
    assert own in page
    assert job_id not in page
    assert "Signed in" not in page
    assert person.post(f"{own}/delete").status_code == 303
    assert person.post(f"/jobs/{job_id}/delete").status_code == 403


def test_revoked_token_signs_out_at_once(
    person: Person, jobs: Jobs, job_id: str, token: str
) -> None:
    own = person.submit(make_jpeg())
    sign_in(person, token)
    jobs.store.tokens.revoke("shop")
    assert person.post(f"/jobs/{job_id}/delete").status_code == 403
    page = person.get("/jobs").text
    assert own in page
    assert job_id not in page
    assert "Sign out" not in page
    assert person.get(f"/jobs/{job_id}").status_code == 200


def test_new_token_of_the_same_name_signs_no_one_in(signed_in: Person, jobs: Jobs) -> None:
    jobs.store.tokens.revoke("shop")
    create_token(jobs.store, "shop")
    assert "Signed in" not in signed_in.get("/").text


@pytest.mark.parametrize("sent", [UNKNOWN, "", "wrong", "thumb_", "ä", "\0"])
def test_unknown_token_is_refused_with_a_reason(person: Person, sent: str) -> None:
    answer = sign_in(person, sent)
    assert answer.status_code == 401
    assert "This token is unknown or was revoked." in answer.text
    assert "Signed in" not in person.get("/").text


def test_revoked_token_is_refused(person: Person, jobs: Jobs, token: str) -> None:
    jobs.store.tokens.revoke("shop")
    assert sign_in(person, token).status_code == 401


def test_wrong_tokens_count_as_guesses(person: Person, token: str) -> None:
    answers = [sign_in(person, UNKNOWN).status_code for _ in range(MAX_WRONG_TOKENS)]
    assert answers == [401] * MAX_WRONG_TOKENS
    assert sign_in(person, token).status_code == 429
    assert "Signed in" not in person.get("/").text


def test_last_use_is_kept(signed_in: Person, jobs: Jobs, clock: Clock) -> None:
    clock.stop(1_900_000_000.0)
    signed_in.get("/jobs")
    assert jobs.store.tokens.all()[0].last_used == 1_900_000_000.0


# Other sites


def test_form_needs_the_csrf_token(signed_in: Person, jobs: Jobs, job_id: str) -> None:
    for path in (f"/jobs/{job_id}/delete", "/jobs", "/sign-out"):
        answer = signed_in.client.post(path, **multipart(presets="square"))
        assert answer.status_code == 400
    assert job_id in jobs.store.jobs.ids()
    assert "Signed in" in signed_in.get("/").text


def test_no_one_is_signed_in_by_a_form_without_the_csrf_token(person: Person, token: str) -> None:
    assert person.client.post("/sign-in", data={"token": token}).status_code == 400
    assert "Signed in" not in person.get("/").text


@pytest.mark.parametrize(
    "sent", [{"Origin": "https://other.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_page_of_another_site_is_not_the_token(
    signed_in: Person, jobs: Jobs, job_id: str, sent: dict[str, str]
) -> None:
    client = signed_in.client
    assert client.delete(f"/api/v1/jobs/{job_id}", headers=sent).status_code == 403
    form = multipart(csrf_token=signed_in.token())
    assert client.post(f"/jobs/{job_id}/delete", headers=sent, **form).status_code == 403
    assert job_id in jobs.store.jobs.ids()
    listed = client.get("/api/v1/jobs", headers=sent).json or {}
    assert listed["jobs"] == []


class TestAllowedSite:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, cors_origins=Origins("https://other.example"))

    def test_uses_the_api_as_no_one(self, signed_in: Person, jobs: Jobs, job_id: str) -> None:
        sent = {"Origin": "https://other.example"}
        client = signed_in.client
        assert client.delete(f"/api/v1/jobs/{job_id}", headers=sent).status_code == 403
        assert (client.get("/api/v1/jobs", headers=sent).json or {})["jobs"] == []
        assert (
            client.post("/api/v1/jobs", headers=sent, json={"presets": ["square"]}).status_code
            == 201
        )
        assert owners(jobs).count(None) == 1


def test_token_that_a_request_sends_counts_before_that_of_the_session(
    signed_in: Person, jobs: Jobs, job_id: str
) -> None:
    other = create_token(jobs.store, "other") or ""
    for sent, status in ((other, 403), (UNKNOWN, 401)):
        headers = {"Authorization": f"Bearer {sent}", "Accept": "application/json"}
        answer = signed_in.client.post(f"/jobs/{job_id}/delete", headers=headers)
        assert answer.status_code == status


# Where access is restricted, and limits


class TestRestricted:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, access_token=ACCESS_TOKEN)

    def test_token_gives_access(self, person: Person, token: str) -> None:
        assert person.client.get("/").headers["Location"] == "/sign-in?next=/"
        sign_in(person, token)
        assert person.upload((make_jpeg(), "a.jpg")).status_code == 303

    def test_revoked_token_leads_to_the_sign_in(self, signed_in: Person, jobs: Jobs) -> None:
        jobs.store.tokens.revoke("shop")
        assert signed_in.client.get("/").headers["Location"] == "/sign-in?next=/"
        assert signed_in.get("/sign-in?next=/").status_code == 200

    def test_person_with_access_signs_in_with_a_token_too(
        self, person: Person, jobs: Jobs, token: str
    ) -> None:
        sign_in(person, ACCESS_TOKEN)
        assert "Signed in as" not in person.get("/").text
        sign_in(person, token)
        jobs.store.tokens.revoke("shop")
        assert person.get("/").status_code == 200

    def test_sign_out_ends_both(self, person: Person, token: str) -> None:
        sign_in(person, ACCESS_TOKEN)
        sign_in(person, token)
        assert person.post("/sign-out").headers["Location"] == "/sign-in"
        assert person.client.get("/").status_code == 303


class TestLimits:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, max_jobs_per_hour=1)

    def test_are_those_of_the_token(self, person: Person, token: str) -> None:
        def upload() -> int:
            return person.upload((make_jpeg(), "a.jpg")).status_code

        assert [upload(), upload()] == [303, 429]
        sign_in(person, token)
        assert [upload(), upload()] == [303, 429]


class TestUserOfAProxy:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, trusted_proxies=1, user_header=HeaderName("Remote-User"))

    @pytest.fixture
    def alice(self, person: Person) -> Person:
        person.client.environ_base["HTTP_REMOTE_USER"] = "alice"
        return person

    def test_acts_as_the_token_until_signing_out(
        self, alice: Person, job_id: str, token: str
    ) -> None:
        own = alice.submit(make_jpeg())
        sign_in(alice, token)
        page = alice.get("/jobs").text
        assert job_id in page
        assert own not in page
        assert "<bdi>shop</bdi>" in page
        alice.post("/sign-out")
        page = alice.get("/jobs").text
        assert own in page
        assert "<bdi>alice</bdi>" in page

    def test_hands_the_token_to_no_other_user_of_the_browser(
        self, alice: Person, job_id: str, token: str
    ) -> None:
        sign_in(alice, token)
        for user in ("bob", ""):
            alice.client.environ_base["HTTP_REMOTE_USER"] = user
            assert job_id not in alice.get("/jobs").text
            assert alice.post(f"/jobs/{job_id}/delete").status_code == 403


# What it costs


class CountedLookUps:
    def __init__(self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        found = jobs.store.tokens.valid

        def valid(token_id: str) -> object:
            self.count += 1
            return found(token_id)

        monkeypatch.setattr(jobs.store.tokens, "valid", valid)


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/{}", "/api/v1/jobs"])
def test_token_is_looked_up_once_in_a_request(
    signed_in: Person, jobs: Jobs, job_id: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_ups = CountedLookUps(jobs, monkeypatch)
    assert signed_in.get(path.format(job_id)).status_code == 200
    assert look_ups.count == 1


def test_other_sessions_look_up_no_token(
    person: Person, jobs: Jobs, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_ups = CountedLookUps(jobs, monkeypatch)
    person.submit(make_jpeg())
    for path in ("/", "/jobs", f"/jobs/{job_id}"):
        person.get(path)
    assert look_ups.count == 0


def test_page_of_an_error_is_shown_if_the_look_up_fails(
    signed_in: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(token_id: str) -> None:
        raise OSError

    monkeypatch.setattr(jobs.store.tokens, "valid", fail)
    assert signed_in.get("/jobs").status_code == 500
