"""Settings are read from the environment and checked at the start."""

from pathlib import Path

import pytest

from webapp.config import ConfigError, load, read_private_hosts


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty folder: loading the settings creates the data folder."""
    monkeypatch.chdir(tmp_path)


def test_defaults_need_no_environment() -> None:
    config = load({})
    assert (config.host, config.port) == ("127.0.0.1", 8000)
    assert config.instance == Path.cwd() / "instance"


def test_environment_overrides_the_default() -> None:
    assert load({"THUMBNAIL_RETENTION_HOURS": "1.5"}).retention_hours == 1.5


def test_log_level_ignores_case() -> None:
    assert load({"THUMBNAIL_LOG_LEVEL": "WARNING"}).log_level == "warning"


def test_host_and_port_have_no_prefix() -> None:
    config = load({"HOST": "0.0.0.0", "PORT": "9000"})
    assert (config.host, config.port) == ("0.0.0.0", 9000)


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ""), ("A.example", "a.example"), ("a.test, .b.test\nc", "a.test .b.test c")],
)
def test_host_names_are_separated_by_spaces_or_commas(text: str, names: str) -> None:
    assert load({"THUMBNAIL_ALLOWED_HOSTS": text}).allowed_hosts == names


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        ("Hooks.internal, b:80", [("hooks.internal", None, None), ("b", None, 80)]),
        ("10.1.2.3 10.0.0.0/8:9", [(None, "10.1.2.3/32", None), (None, "10.0.0.0/8", 9)]),
        ("::1 [fd00::/8]:9", [(None, "::1/128", None), (None, "fd00::/8", 9)]),
    ],
)
def test_private_hosts_are_names_addresses_or_networks_with_ports(
    text: str, hosts: list[tuple[str | None, str | None, int | None]]
) -> None:
    allowed = load({"THUMBNAIL_ALLOWED_PRIVATE_HOSTS": text}).allowed_private_hosts

    read = read_private_hosts(allowed)
    networks = [host.network and str(host.network) for host in read]
    names_and_ports = [(host.name, host.port) for host in read]
    assert list(zip(names_and_ports, networks, strict=True)) == [
        ((name, port), network) for name, network, port in hosts
    ]


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("0", False), ("", False)])
def test_switches_accept_the_usual_words(text: str, value: bool) -> None:
    assert load({"THUMBNAIL_COOKIE_SECURE": text}).cookie_secure is value


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        (
            "THUMBNAIL_MAX_IMAGES",
            "many",
            'THUMBNAIL_MAX_IMAGES must be a whole number, not "many".',
        ),
        ("THUMBNAIL_MAX_IMAGES", "0", "THUMBNAIL_MAX_IMAGES must be from 1 to 1,000,000, not 0."),
        ("THUMBNAIL_RETENTION_HOURS", "nan", "must be from 0.001 to 1,000,000, not nan."),
        (
            "THUMBNAIL_COOKIE_SECURE",
            "maybe",
            'THUMBNAIL_COOKIE_SECURE must be 1 or 0, not "maybe".',
        ),
        ("THUMBNAIL_MAX_IMAGE", "5", "is not a setting. Did you mean THUMBNAIL_MAX_IMAGES?"),
        ("THUMBNAIL_RETENTION_HOURS", "inf", "must be from 0.001 to 1,000,000, not inf."),
        ("THUMBNAIL_INSTANCE", "", 'THUMBNAIL_INSTANCE must be a path, not "".'),
        ("HOST", "127.0.0.1x", 'HOST must be an address of this machine, not "127.0.0.1x".'),
        ("THUMBNAIL_PORT", "9000", "THUMBNAIL_PORT is not a setting. Did you mean PORT?"),
        (
            "THUMBNAIL_LOG_FORMAT",
            "xml",
            'THUMBNAIL_LOG_FORMAT must be one of text, json, not "xml".',
        ),
        ("THUMBNAIL_LOG_LEVEL", "", "must be one of debug, info, warning, error, not"),
        ("THUMBNAIL_MAX_REQUEST_MB", "1", "must not be less than THUMBNAIL_MAX_FILE_MB."),
        ("THUMBNAIL_MAX_MB_PER_HOUR", "499", "must not be less than THUMBNAIL_MAX_REQUEST_MB."),
        ("THUMBNAIL_MAX_RETENTION_HOURS", "23", "must not be less than THUMBNAIL_RETENTION_HOURS."),
        ("THUMBNAIL_MAX_PACKED_PER_HOUR", "9999", "or the largest job could not be downloaded."),
        ("THUMBNAIL_MAX_WAITING", "1996", "or the largest job could not be uploaded."),
        ("THUMBNAIL_MAX_WAITING_SHARE", "0.0499", "or the largest job could not be uploaded."),
        ("THUMBNAIL_INSTANCE", "/proc/nope", "THUMBNAIL_INSTANCE cannot be created:"),
        ("THUMBNAIL_INSTANCE", __file__, "THUMBNAIL_INSTANCE cannot be created:"),
        (
            "THUMBNAIL_ALLOWED_HOSTS",
            "https://thumbs.example",
            "THUMBNAIL_ALLOWED_HOSTS must be host names like pictures.example.com, not",
        ),
        ("THUMBNAIL_ALLOWED_HOSTS", "thumbs.example:8000", "must be host names"),
        ("THUMBNAIL_USER_HEADER", "Remote-User", "count it in THUMBNAIL_TRUSTED_PROXIES."),
        ("THUMBNAIL_TRUSTED_PREFIX", "1", "count it in THUMBNAIL_TRUSTED_PROXIES."),
        ("THUMBNAIL_ACCEL_PREFIX", "/accel", "count it in THUMBNAIL_TRUSTED_PROXIES."),
        ("THUMBNAIL_ACCEL_PREFIX", "accel", "must be a path like /accel, not"),
        ("THUMBNAIL_ACCEL_PREFIX", "/accel/", "must be a path like /accel, not"),
        ("THUMBNAIL_USER_HEADER", "Remote_User", "must be the name of a header like Remote-User"),
        ("THUMBNAIL_USER_HEADER_PROXIES", "10.0.0.1/8", "must be addresses or networks like"),
        ("THUMBNAIL_USER_HEADER_PROXIES", "proxy.internal", "must be addresses or networks like"),
        ("THUMBNAIL_CLIENT_HEADER", "X-Real-IP", "count it in THUMBNAIL_TRUSTED_PROXIES."),
        ("THUMBNAIL_CLIENT_HEADER", "X_Real_IP", "must be the name of a header like"),
        ("THUMBNAIL_CORS_ORIGINS", "app.example.com", "must be origins like https://app.example."),
        ("THUMBNAIL_CORS_ORIGINS", "https://a.example/", "must be origins like"),
        ("THUMBNAIL_CORS_ORIGINS", "https://*.example", "must be origins like"),
        ("THUMBNAIL_CORS_ORIGINS", "null", "must be origins like"),
        ("THUMBNAIL_ALLOWED_PRIVATE_HOSTS", "10.0.0.1/8", "must be hosts like"),
        ("THUMBNAIL_ALLOWED_PRIVATE_HOSTS", "10.0.0.999", "must be hosts like"),
        ("THUMBNAIL_ALLOWED_PRIVATE_HOSTS", "hooks:0", "must be hosts like"),
        ("THUMBNAIL_ALLOWED_PRIVATE_HOSTS", "http://hooks", "must be hosts like"),
        ("THUMBNAIL_ALLOWED_PRIVATE_HOSTS", "*", "must be hosts like"),
        ("PORT", "99999", "PORT must be from 1 to 65,535, not 99999."),
        ("PORT", "http", 'PORT must be a whole number, not "http".'),
    ],
)
def test_wrong_setting_ends_with_a_sentence_that_names_it(
    variable: str, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({variable: text})
    assert sentence in str(caught.value)


def test_origins_are_written_as_browsers_do() -> None:
    sent = "HTTPS://App.example:443 http://127.0.0.1:5173 capacitor://localhost"
    expected = "https://app.example http://127.0.0.1:5173 capacitor://localhost"
    assert load({"THUMBNAIL_CORS_ORIGINS": sent}).cors_origins == expected
    assert load({"THUMBNAIL_CORS_ORIGINS": "*"}).cors_origins == "*"


def test_share_of_the_queue_may_equal_the_largest_job() -> None:
    config = load({"THUMBNAIL_MAX_WAITING": "1997"})
    assert (config.max_waiting, config.max_images) == (1997, 500)


def test_environment_overrides_the_dotenv_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("THUMBNAIL_MAX_IMAGES=3\nTHUMBNAIL_MAX_FILE_MB=4\n")
    monkeypatch.setenv("THUMBNAIL_MAX_FILE_MB", "5")
    assert (load().max_images, load().max_file_mb) == (3, 5)
