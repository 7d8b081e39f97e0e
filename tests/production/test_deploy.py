"""What `deploy/` has: each file is run, or verified by the tool that it is for, or read."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

from tests.cli.processes import ROOT
from tests.servers import free_port
from tests.waiting import until

DEPLOY = ROOT / "deploy"

APP = """
from velithon import Velithon
app = Velithon()
app.get("/")(lambda: "served")
"""


@pytest.mark.parametrize("name", ["velithon.service", "velithon-activated.service", "velithon-activated.socket"])
def test_systemd_accepts_the_units(name: str, tmp_path: Path) -> None:
    """With commands that exist here; `systemd-analyze verify` says nothing of a unit that is right."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    for unit in (DEPLOY / "systemd").iterdir():
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.server
def test_uvicorn_takes_the_socket_of_systemd(tmp_path: Path) -> None:
    """The unit's own options, under systemd's own tool for activation."""
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd-socket-activate is not installed: apt-get install systemd")
    (tmp_path / "main.py").write_text(APP)
    unit = (DEPLOY / "systemd/velithon-activated.service").read_text()
    found = re.search(r"^ExecStart=\S+/uvicorn app\.main:app (.*)$", unit, re.MULTILINE)
    assert found is not None
    with free_port() as port, (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "uvicorn", "main:app", *found[1].split()]
        process = subprocess.Popen(
            ["systemd-socket-activate", "--listen", f"127.0.0.1:{port}", "--setenv=PATH", *command],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: "Listening on" in (tmp_path / "log").read_text(), "the socket")
            # The first request starts the service, and waits for it.
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).json() == "served"
        finally:
            process.terminate()
            process.wait(20)


def manifests() -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/velithon.yaml").read_text()))


def test_kubernetes_probes_and_grace_fit_the_application() -> None:
    kinds = {manifest["kind"]: manifest for manifest in manifests()}
    assert kinds.keys() == {"Deployment", "Service", "PodDisruptionBudget", "Ingress"}
    pod = kinds["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert pod["spec"]["terminationGracePeriodSeconds"] > 10 + 5
    labels = pod["metadata"]["labels"].items()
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert kinds["Service"]["spec"]["selector"].items() <= labels
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    check_command(container["args"])


def check_command(arguments: list[str]) -> None:
    """Have `velithon run` read its options: the one thing it may complain of is that there is no such module."""
    command = [sys.executable, "-m", "velithon", "run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert "Cannot load 'app.main:app'" in done.stderr, done.stderr


def test_compose_names_what_is_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    assert services.keys() == {"nginx", "app", "database", "redis"}
    assert (DEPLOY / "compose.yaml").parent.joinpath(services["app"]["build"]["context"], "deploy/Dockerfile").exists()
    for service in services.values():
        for dependency in service.get("depends_on", {}):
            assert dependency in services
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or source == "./tls" or (DEPLOY / source).exists()


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def test_the_image_keeps_the_rules_for_images() -> None:
    """Hadolint's, as far as they apply: pinned bases, no cache, exec form, not root, one health check."""
    found = instructions()
    bases = [value for name, value in found if name == "FROM"]
    assert all(re.match(r"\S+:\S*\d", base) and ":latest" not in base for base in bases)  # DL3006, DL3007
    assert not any(
        "sudo" in value or re.match(r"cd ", value) for name, value in found if name == "RUN"
    )  # DL3003, DL3004
    assert dict(found)["ENV"]
    assert any("PIP_NO_CACHE_DIR=1" in value for name, value in found if name == "ENV")  # DL3042
    assert all(value.startswith("/") for name, value in found if name == "WORKDIR")  # DL3000
    assert not any(name == "ADD" for name, _ in found)  # DL3020
    for name in ("CMD", "ENTRYPOINT"):
        assert [value.startswith("[") for key, value in found if key == name] == [True]  # DL3025, DL4003, DL4004
    assert [value for name, value in found if name == "USER"] == ["10001"]  # DL3002
    assert [name for name, _ in found].count("HEALTHCHECK") == 1  # DL3012
    assert found.index(("USER", "10001")) > max(
        index for index, (name, _) in enumerate(found) if name in ("COPY", "RUN")
    )
    import json

    check_command(json.loads(dict(found)["CMD"]))


def test_the_health_check_of_the_image_asks_the_application() -> None:
    """The command of the image, against a server on another port."""
    value = dict(instructions())["HEALTHCHECK"]
    found = re.search(r'CMD \["python", "-c", "(.*)"\]$', value)
    assert found is not None
    with free_port() as port:
        check = found[1].replace("8000", str(port))
        assert subprocess.run([sys.executable, "-c", check], capture_output=True, timeout=20).returncode != 0


def test_caddy_forwards_what_the_application_reads() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    assert text.count("{") == text.count("}")
    if shutil.which("caddy") is None:
        return
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
