"""The Helm chart renders objects that Kubernetes accepts and in which the application works."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml
from flask import Flask

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.servers import (
    Client,
    children_of,
    environment,
    free_port,
    running,
    wait_until,
)
from webapp.config import ROOT, SECRETS, VERSION, Config, HostNames, environment_name, load
from webapp.serve import STOP_SECONDS

CHART = ROOT / "deploy/helm/thumbnails"
OLDEST = "1.31"  # Of Kubernetes.
IMAGE = {"repository": "registry.example.com/thumbnails"}
TOKEN = "a-token-of-32-characters-or-more"
METRICS_TOKEN = "another-one-for-metrics-alone"
DISK = {"size": "200Gi", "storageClass": "fast", "accessModes": ["ReadWriteOncePod"]}
LARGE = {"limits": {"memory": "26Gi"}, "requests": {"cpu": "16", "memory": "8Gi"}}

# Sets of values as operators write them, beside the name of the image.
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "host": {
        "ingress": {"enabled": True, "host": "pictures.example.com", "tlsSecret": "certificate"},
        "config": {"THUMBNAIL_ALLOWED_HOSTS": "pictures.example.com"},
        "secret": {"accessToken": TOKEN},
    },
    "path": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "example.com",
            "path": "/thumbnails",
            "tlsSecret": "certificate",
        }
    },
    "path-of-another-controller": {
        "ingress": {
            "enabled": True,
            "controller": "none",
            "host": "example.com",
            "path": "/thumbnails",
            "annotations": {"traefik.ingress.kubernetes.io/router.middlewares": "web-strip@crd"},
        }
    },
    "existing-claim-and-secret": {
        "persistence": {"existingClaim": "photos"},
        "secret": {
            "existingSecret": "tokens",
            "existingKeys": ["THUMBNAIL_ACCESS_TOKEN", "THUMBNAIL_METRICS_TOKEN"],
        },
        "serviceMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
    },
    "all-secrets-and-metrics": {
        "secret": {"accessToken": TOKEN, "metricsToken": METRICS_TOKEN, "secretKey": TOKEN},
        "serviceMonitor": {"enabled": True},
        "config": {"THUMBNAIL_ALLOWED_HOSTS": "pictures.example.com"},
    },
    "fenced": {
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 8080}]}],
        }
    },
    "large-and-arm": {
        "config": {"THUMBNAIL_WORKERS": 16, "THUMBNAIL_MAX_PACKED_PER_HOUR": 2_000_000},
        "worker": {"resources": LARGE},
        "persistence": DISK,
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "arm", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "podLabels": {"team": "web"},
        "podAnnotations": {"example.com/note": "x"},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "0" * 64},
        "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
    },
    "switches": {
        "config": {"THUMBNAIL_FETCH_URLS": True, "THUMBNAIL_MAX_WAITING_SHARE": 0.5},
    },
}

Object = dict[str, Any]


def render_files(values: Mapping[str, Any], release: str) -> dict[str, str]:
    """Render the chart as an installation does; return the text of each file."""
    image = IMAGE | values.get("image", {})
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render({**values, "image": image}, name=release, namespace="web")
    assert isinstance(files, dict)
    return files


def render(values: Mapping[str, Any], release: str = "photos") -> list[Object]:
    """Return the objects that an installation makes."""
    return [
        document
        for name, text in render_files(values, release).items()
        if not name.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]


@pytest.fixture(scope="module", params=VALUES)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """The objects of each set of values."""
    return render(VALUES[request.param])


def kinds(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[Object], kind: str) -> Object:
    (found,) = kinds(objects, kind)
    return found


def pod_of(objects: list[Object]) -> Object:
    spec = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container(objects: list[Object], name: str) -> Object:
    (found,) = [each for each in pod_of(objects)["containers"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


def environment_of(objects: list[Object], name: str) -> dict[str, str]:
    """Return what a container gets; the value of a secret is its key."""
    given: dict[str, str] = dict(only(objects, "ConfigMap")["data"])
    for each in container(objects, name)["env"]:
        value = each.get("value") or decoded(objects, each["valueFrom"]["secretKeyRef"])
        given[each["name"]] = value
    return given


def decoded(objects: list[Object], reference: Mapping[str, str]) -> str:
    """Return the value of a key of a Secret; of one that the chart does not make, a token."""
    made = {each["metadata"]["name"]: each for each in kinds(objects, "Secret")}
    if reference["name"] not in made:
        return TOKEN
    return base64.b64decode(made[reference["name"]]["data"][reference["key"]]).decode()


# What Helm and Kubernetes accept


def test_chart_has_no_fault_that_helm_knows() -> None:
    report = helm.lint(str(CHART), strict=True)
    found = [each for each in report["messages"] if each["error"] != "icon is recommended"]
    assert (found, report["errors"]) == ([], [])


@pytest.mark.parametrize("version", [OLDEST, "1.34", kubernetes_validate.latest_version()])
def test_kubernetes_accepts_all_objects(objects: list[Object], version: str) -> None:
    for each in objects:
        if each["kind"] != "ServiceMonitor":  # Its schema comes with the Prometheus operator.
            kubernetes_validate.validate(each, version, strict=True)


def test_chart_is_installed_where_its_objects_are_checked() -> None:
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    assert oldest == f">={OLDEST}.0-0"


def test_page_has_values_that_are_accepted_and_a_pod_that_restores() -> None:
    page = (ROOT / "docs/deploy-kubernetes.md").read_text()
    values, pod = (
        yaml.safe_load(re.sub("^   " if block.startswith("   ") else "^", "", block, flags=re.M))
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    )
    objects = render(values, release="thumbnails")
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    claim = only(objects, "StatefulSet")["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    name = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert name == f"{claim}-{only(objects, 'StatefulSet')['metadata']['name']}-0"


def test_chart_is_for_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == VERSION
    assert container(render({}), "web")["image"] == f"{IMAGE['repository']}:{VERSION}"


def test_names_of_a_long_release_fit() -> None:
    for each in render({}, release="a" * 53):
        assert len(each["metadata"]["name"]) <= 63


def test_names_stay_names_where_yaml_would_read_something_else() -> None:
    values = {
        "nameOverride": "no",
        "fullnameOverride": "yes",
        "secret": {"existingSecret": "123"},
        "persistence": {"existingClaim": "1e3"},
        "ingress": {"enabled": True, "host": "123", "className": "on", "tlsSecret": "true"},
        "priorityClassName": "off",
        "terminationGracePeriodSeconds": 2_000_000,
    }
    own_claim = {**values, "persistence": {"storageClass": "1e3", "size": "20000000000"}}
    for each in render(values, release="true") + render(own_claim, release="null"):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_schema_knows_each_value_and_no_other() -> None:
    def names(schema: Any) -> Any:
        return {key: names(each) for key, each in schema.get("properties", {}).items()}

    def same(values: Any, known: Any) -> bool:
        return set(values) == set(known) and all(
            not known[key] or key in ("resources", "config") or same(values[key], known[key])
            for key in values
        )

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = names(json.loads((CHART / "values.schema.json").read_text()))
    del known["global"]  # Helm's own.
    assert same(values, known)


@pytest.mark.parametrize(("values", "warns"), [({}, True), (VALUES["host"], False)])
def test_notes_warn_where_anyone_can_upload(values: dict[str, Any], warns: bool) -> None:
    notes = render_files(values, "photos")["thumbnails/templates/NOTES.txt"]
    assert ("Anyone who reaches the service can upload" in notes) is warns


# What the application gets


@pytest.mark.parametrize("name", ["web", "worker"])
def test_application_accepts_its_settings(objects: list[Object], name: str, tmp_path: Path) -> None:
    given = environment_of(objects, name)
    assert given["THUMBNAIL_INSTANCE"] == "/data"
    load({**given, "THUMBNAIL_INSTANCE": str(tmp_path)})


def test_large_numbers_are_written_as_the_application_reads_them() -> None:
    data = only(render(VALUES["large-and-arm"]), "ConfigMap")["data"]
    assert data["THUMBNAIL_MAX_PACKED_PER_HOUR"] == "2000000"


def test_secrets_are_in_no_object_but_the_secret() -> None:
    objects = render(VALUES["all-secrets-and-metrics"])
    rest = [each for each in objects if each["kind"] != "Secret"]
    assert not {TOKEN, METRICS_TOKEN} & set(re.findall(r"[\w-]+", json.dumps(rest)))
    assert set(only(objects, "Secret")["data"]) == {environment_name(name) for name in SECRETS}


def test_worker_gets_no_secret(objects: list[Object]) -> None:
    worker = container(objects, "worker")
    assert "secretKeyRef" not in json.dumps(worker)
    assert [list(each) for each in worker["envFrom"]] == [["configMapRef"]]


def test_key_that_a_secret_lacks_stops_the_pod() -> None:
    text = json.dumps(container(render(VALUES["existing-claim-and-secret"]), "web"))
    assert '"key": "THUMBNAIL_ACCESS_TOKEN"' in text
    assert "optional" not in text


def annotations_of_the_pod(values: dict[str, Any]) -> dict[str, str]:
    template = only(render(values), "StatefulSet")["spec"]["template"]
    return template["metadata"]["annotations"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("changed", ["config", "secret"])
def test_change_of_settings_restarts_the_pod(changed: str) -> None:
    values = {"config": {"THUMBNAIL_RETENTION_HOURS": "48"}, "secret": {"accessToken": TOKEN}}
    assert annotations_of_the_pod({}) != annotations_of_the_pod({changed: values[changed]})


def test_pod_does_not_tell_whether_a_guess_of_a_secret_is_right() -> None:
    told = annotations_of_the_pod({"secret": {"accessToken": TOKEN}})["checksum/secret"]
    assert re.fullmatch("[0-9a-f]{5}", told)


def test_service_in_the_namespace_sets_no_setting(objects: list[Object]) -> None:
    assert all(pod["enableServiceLinks"] is False for pod in pods(objects))


def test_only_behind_an_ingress_are_forwarded_addresses_believed() -> None:
    assert "THUMBNAIL_TRUSTED_PROXIES" not in only(render({}), "ConfigMap")["data"]
    assert only(render(VALUES["host"]), "ConfigMap")["data"]["THUMBNAIL_TRUSTED_PROXIES"] == "1"


def test_own_settings_count_before_those_of_an_ingress() -> None:
    values = {**VALUES["host"], "config": {"THUMBNAIL_TRUSTED_PROXIES": 2}}
    assert only(render(values), "ConfigMap")["data"]["THUMBNAIL_TRUSTED_PROXIES"] == "2"


# The pod


def pods(objects: list[Object]) -> list[Object]:
    return [pod_of(objects), only(objects, "Pod")["spec"]]


def test_pods_have_no_more_rights_than_they_need(objects: list[Object]) -> None:
    for pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in pod["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


def test_both_containers_write_to_the_volume(objects: list[Object]) -> None:
    stateful = only(objects, "StatefulSet")["spec"]
    claims = [each["metadata"]["name"] for each in stateful.get("volumeClaimTemplates", [])]
    volumes = claims + [each["name"] for each in pod_of(objects)["volumes"]]
    for name in ("web", "worker"):
        mounts = container(objects, name)["volumeMounts"]
        assert {each["mountPath"] for each in mounts} == {"/data", "/tmp"}
        assert sorted(each["name"] for each in mounts) == sorted(volumes)
    assert pod_of(objects)["securityContext"]["fsGroup"] == 10001


def test_volume_with_many_files_does_not_hold_up_a_start() -> None:
    assert pod_of(render({}))["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_temporary_files_take_little_memory(objects: list[Object]) -> None:
    (tmp,) = [each for each in pod_of(objects)["volumes"] if each["name"] == "tmp"]
    assert tmp["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_there_is_one_pod_and_a_broken_one_is_replaced(objects: list[Object]) -> None:
    stateful = only(objects, "StatefulSet")["spec"]
    assert (stateful["replicas"], stateful["podManagementPolicy"]) == (1, "Parallel")


def test_data_outlive_the_release() -> None:
    stateful = only(render({}), "StatefulSet")["spec"]
    assert set(stateful["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_web_listens_where_the_service_leads(objects: list[Object]) -> None:
    given = environment_of(objects, "web")
    (port,) = container(objects, "web")["ports"]
    assert given["HOST"] == "0.0.0.0"
    assert port["containerPort"] == int(given["PORT"])
    assert only(objects, "Service")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_pod_has_the_time_to_stop(objects: list[Object]) -> None:
    assert pod_of(objects)["terminationGracePeriodSeconds"] > STOP_SECONDS


def test_worker_has_memory_for_all_its_processes(objects: list[Object], tmp_path: Path) -> None:
    given = environment_of(objects, "worker")
    config = load({**given, "THUMBNAIL_INSTANCE": str(tmp_path)})
    limit = container(objects, "worker")["resources"]["limits"]["memory"]
    units = {"M": 10**6, "Gi": 2**30}
    number, unit = re.fullmatch(r"(\d+)(\w+)", limit).groups()  # type: ignore[union-attr]
    assert int(number) * units[unit] >= config.workers * config.decode_memory_mb * 10**6


def test_selectors_find_the_server_and_nothing_else(objects: list[Object]) -> None:
    template = only(objects, "StatefulSet")["spec"]
    labels = template["template"]["metadata"]["labels"]
    test = only(objects, "Pod")["metadata"]["labels"]
    selectors = [template["selector"]["matchLabels"], only(objects, "Service")["spec"]["selector"]]
    selectors += [
        each["spec"]["podSelector"]["matchLabels"] for each in kinds(objects, "NetworkPolicy")
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= test.items()


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        *((address, True) for address in ("93.184.216.34", "2606:2800:220:1::1")),
        *((address, False) for address in ("10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1")),
        *((address, False) for address in ("127.0.0.1", "169.254.169.254", "fd00::1", "fe80::1")),
    ],
)
def test_fenced_pod_reaches_public_addresses_alone(address: str, reached: bool) -> None:
    policy = only(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    blocks = [to["ipBlock"] for rule in policy["egress"] for to in rule.get("to", [])]
    is_in = [
        ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(each) for each in block["except"])
        for block in blocks
    ]
    assert any(is_in) is reached


def test_fenced_pod_is_reached_by_the_named_pods_alone() -> None:
    objects = render(VALUES["fenced"])
    (rule,) = only(objects, "NetworkPolicy")["spec"]["ingress"]
    test, named = rule["from"]
    labels = only(objects, "Pod")["metadata"]["labels"]
    assert test["podSelector"]["matchLabels"].items() <= labels.items()
    assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert named == VALUES["fenced"]["networkPolicy"]["from"][0]


def test_prometheus_finds_the_service() -> None:
    objects = render(VALUES["all-secrets-and-metrics"])
    monitor, service = only(objects, "ServiceMonitor")["spec"], only(objects, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in [each["name"] for each in service["spec"]["ports"]]
    assert endpoint["path"] == "/metrics"
    assert decoded(objects, endpoint["authorization"]["credentials"]) == METRICS_TOKEN
    name, _, port = endpoint["relabelings"][0]["replacement"].partition(":")
    assert name.split(".")[:2] == [service["metadata"]["name"], "web"]
    assert int(port) == service["spec"]["ports"][0]["port"]
    assert name in only(objects, "ConfigMap")["data"]["THUMBNAIL_ALLOWED_HOSTS"].split()


def test_alerts_find_the_series_by_their_job() -> None:
    objects = render(VALUES["all-secrets-and-metrics"])
    label = only(objects, "ServiceMonitor")["spec"]["jobLabel"]
    job = only(objects, "Service")["metadata"]["labels"][label]
    assert f'up{{job="{job}"}}' in (ROOT / "deploy/prometheus/thumbnails.rules.yaml").read_text()


def test_ingress_leads_to_the_service() -> None:
    objects = render(VALUES["host"])
    (rule,) = only(objects, "Ingress")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    service = only(objects, "Service")
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]


def test_ingress_has_the_certificate_of_its_host_and_cookies_for_https() -> None:
    objects = render(VALUES["host"])
    (tls,) = only(objects, "Ingress")["spec"]["tls"]
    assert tls == {"hosts": ["pictures.example.com"], "secretName": "certificate"}
    assert only(objects, "ConfigMap")["data"]["THUMBNAIL_COOKIE_SECURE"] == "1"


def test_ingress_accepts_the_largest_request() -> None:
    for size in ({}, {"THUMBNAIL_MAX_REQUEST_MB": 900}):
        objects = render({**VALUES["host"], "config": size})
        annotations = only(objects, "Ingress")["metadata"]["annotations"]
        body = annotations["nginx.ingress.kubernetes.io/proxy-body-size"]
        megabytes = size.get("THUMBNAIL_MAX_REQUEST_MB", Config.max_request_mb)
        assert int(body.removesuffix("m")) * 2**20 > megabytes * 10**6


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("/thumbnails", "/"), ("/thumbnails/", "/"), ("/thumbnails/jobs/1", "/jobs/1")],
)
def test_ingress_removes_the_path_and_says_so(asked: str, sent: str) -> None:
    objects = render(VALUES["path"])
    assert only(objects, "ConfigMap")["data"]["THUMBNAIL_TRUSTED_PREFIX"] == "1"
    ingress = only(objects, "Ingress")
    annotations = ingress["metadata"]["annotations"]
    path = ingress["spec"]["rules"][0]["http"]["paths"][0]["path"]
    target = annotations["nginx.ingress.kubernetes.io/rewrite-target"].replace("$", "\\")
    assert re.sub(f"^{path}", target, asked) == sent
    assert not re.match(path, "/thumbnails-of-others")
    assert annotations["nginx.ingress.kubernetes.io/x-forwarded-prefix"] == "/thumbnails"


# Probes


@pytest.fixture
def guarded(tmp_path: Path, clock: Clock) -> Iterator[Flask]:
    """An application with all that could refuse a probe, and without a consumer."""
    config = Config(
        instance=tmp_path, access_token=TOKEN, allowed_hosts=HostNames("pictures.example.com")
    )
    with running_app(config, clock) as app:
        yield app


def ask(app: Flask, probe: Object) -> int:
    headers = {each["name"]: each["value"] for each in probe["httpGet"]["httpHeaders"]}
    return app.test_client().get(probe["httpGet"]["path"], headers=headers).status_code


def test_web_is_started_without_a_consumer(guarded: Flask) -> None:
    assert ask(guarded, container(render({}), "web")["startupProbe"]) == 200


def test_migration_of_a_large_database_has_ten_minutes() -> None:
    probe = container(render({}), "web")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


def test_pod_is_not_ready_without_a_consumer(guarded: Flask) -> None:
    assert ask(guarded, container(render({}), "web")["readinessProbe"]) == 503


def test_web_is_reached_without_a_consumer() -> None:
    assert only(render({}), "Service")["spec"]["publishNotReadyAddresses"] is True


def test_web_is_not_restarted_for_what_a_restart_does_not_help() -> None:
    assert "httpGet" not in container(render({}), "web")["livenessProbe"]


# Values that are refused


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 2}, r"'/replicas'.*must be 1|replicas.*1"),
        ({"image": {"repository": "ghcr.io/OWNER/thumbnails"}}, "no image is published yet"),
        ({"config": {"thumbnail_workers": "2"}}, "thumbnail_workers"),
        ({"config": {"THUMBNAIL_INSTANCE": "/x"}}, "config.THUMBNAIL_INSTANCE: the chart sets it"),
        *(
            ({"config": {environment_name(name): TOKEN}}, f"{environment_name(name)}.*in `secret`")
            for name in SECRETS
        ),
        ({"config": {"THUMBNAIL_WORKERS": 8}}, "Set it to 12500M at least"),
        ({"secret": {"accessToken": "short"}}, "'/secret/accessToken': minLength: got 5, want 16"),
        ({"secret": {"existingKeys": ["TOKEN"]}}, "/secret/existingKeys"),
        ({"ingress": {"enabled": True}}, "/ingress/host"),
        ({"ingress": {"enabled": True, "host": "a.example", "path": "x"}}, "/ingress/path"),
        ({"persistence": {"accessModes": ["ReadWriteMany"]}}, "/persistence/accessModes"),
        ({"terminationGracePeriodSeconds": 30}, "terminationGracePeriodSeconds"),
        ({"serviceMonitor": {"enabled": True}}, "secret.metricsToken"),
        ({"worker": {"resources": {"limits": {"memory": "lots"}}}}, "/worker/resources/limits"),
        ({"ingres": {}}, "ingres"),
        ({"image": {"tag": "1.0 # mine"}}, "/image/tag"),
        ({"fullnameOverride": "2nd"}, "/fullnameOverride"),
        ({"persistence": {"size": "10K"}}, "/persistence/size"),
        ({"tolerations": ["arm"]}, "/tolerations/0"),
        ({"podLabels": {"app.kubernetes.io/component": "x"}}, "app.kubernetes.io/component"),
    ],
)
def test_wrong_value_is_refused_with_its_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm.HelmError, match=words):
        render(values)


def test_release_after_which_no_service_can_be_named_is_refused() -> None:
    with pytest.raises(helm.HelmError, match="Set fullnameOverride"):
        render({}, release="2nd")
    render({"fullnameOverride": "second"}, release="2nd")


def test_secret_that_is_refused_is_not_shown() -> None:
    with pytest.raises(helm.HelmError) as refused:
        render({"secret": {"secretKey": TOKEN[:31]}})
    assert TOKEN[:31] not in str(refused.value)


# What runs


def run_helm_test(url: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of the pod of `helm test` against a server."""
    pod = only(render({"secret": {"accessToken": TOKEN}}), "Pod")["spec"]
    *command, program = pod["containers"][0]["args"]
    assert command == ["python3", "-c"]
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"SERVICE": url, **more},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_helm_test_is_run_when_it_is_asked_for_alone() -> None:
    assert only(render({}), "Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_helm_test_passes_where_a_thumbnail_is_made(tmp_path: Path) -> None:
    with running(tmp_path / "instance", workers=1, access_token=TOKEN) as servers:
        passed = run_helm_test(servers.url, TOKEN=TOKEN)
        refused = run_helm_test(servers.url)
    assert (passed.returncode, passed.stderr) == (0, "")
    assert refused.returncode == 1
    assert "answered 401" in refused.stderr


def test_helm_test_fails_where_nothing_answers() -> None:
    failed = run_helm_test(f"http://127.0.0.1:{free_port()}")
    assert failed.returncode == 1
    assert "cannot be reached" in failed.stderr


# A container without an engine: its own processes, and a root that cannot be written. /srv stands
# for /data, which this machine may not have.
CONTAINER = """
mount --make-rprivate /
mount --bind "$1" /srv
mount -o remount,bind,ro /
shift
exec "$@"
"""
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]


@contextmanager
def containers(data: Path, log: Path) -> Iterator[str]:
    """Run what the pod's containers run, apart but for volume and network; yield the address.

    They are stopped as Kubernetes stops them, and must end by themselves.
    """
    port = free_port()
    settings = environment(Path("/srv"), port=port, workers=1)
    started = []
    try:
        with log.open("wb") as output:
            for each in pod_of(render({}))["containers"]:
                command = [*UNSHARE, "sh", "-ec", CONTAINER, "sh", str(data), *each["args"]]
                started.append(
                    subprocess.Popen(command, cwd=ROOT, env=settings, stdout=output, stderr=output)
                )
        with closing(Client("127.0.0.1", port)) as client:
            wait_until(client.is_healthy, what="healthy containers")
        yield f"http://127.0.0.1:{port}"
        for process in started:
            send(process, signal.SIGTERM)
        assert [process.wait(STOP_SECONDS) for process in started] == [0, 0]
    except BaseException:
        print(log.read_text())
        raise
    finally:
        for process in started:
            send(process, signal.SIGKILL)
            process.kill()
            process.wait()


def send(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to the first process of a container; the others end with it."""
    for first in children_of(process.pid):
        with suppress(ProcessLookupError):
            os.kill(first, number)


@pytest.mark.skipif(
    os.geteuid() != 0
    or not shutil.which("unshare")
    or subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0,
    reason="only root can make namespaces",
)
def test_containers_that_share_only_the_volume_make_a_thumbnail(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with containers(data, tmp_path / "log") as url:
        passed = run_helm_test(url)
    assert (passed.returncode, passed.stderr) == (0, "")
    assert list((data / "thumbnails").rglob("*.jpg"))


def test_kind_deploy_names_the_programs_that_are_missing(tmp_path: Path) -> None:
    for program in ("bash", "dirname"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    ended = subprocess.run(
        [str(tmp_path / "bash"), str(ROOT / "deploy/helm/kind-deploy")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "Not found: docker kind kubectl helm." in ended.stderr
