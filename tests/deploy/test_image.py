"""The image as a pod runs it: nobody's user, no rights, nothing to write to but /tmp.

Needs root, `runc`, and in `STREAM_VAE_TEST_ROOTFS` the unpacked file system of an image:

    docker create --name one stream-vae && mkdir rootfs && docker export one | tar -x -C rootfs
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.deploy.test_dockerfile import last

ROOTFS = os.environ.get("STREAM_VAE_TEST_ROOTFS")
USER = 10001

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ROOTFS is None, reason="STREAM_VAE_TEST_ROOTFS names no unpacked image"),
    pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed"),
    pytest.mark.skipif(os.getuid() != 0, reason="runc needs root"),
]


def run(bundle: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a container as strict as the pods are, with this machine's network."""
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    file = bundle / "config.json"
    file.write_text(json.dumps(_strict(json.loads(file.read_text()), command)), encoding="utf-8")
    name = f"stream-vae-{uuid4().hex[:8]}"
    return subprocess.run(
        ["runc", "run", name], cwd=bundle, capture_output=True, text=True, timeout=300, check=False
    )


def _strict(config: dict[str, Any], command: tuple[str, ...]) -> dict[str, Any]:
    variables = re.findall(r"([A-Z_]+)=(\S+)", last("ENV"))
    path = "/usr/local/bin:/usr/bin:/bin"
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    tmpfs = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}  # noqa: S108 -- the pod's
    linux = config["linux"]
    spaces = [space for space in linux["namespaces"] if space["type"] != "network"]
    return {
        **config,
        "root": {"path": ROOTFS, "readonly": True},
        "mounts": [
            *(mount for mount in config["mounts"] if mount["type"] != "cgroup"),
            {**tmpfs, "options": ["nosuid", "nodev", "mode=1777", "size=256m"]},
        ],
        "linux": {**linux, "namespaces": spaces, "resources": {}},
        "process": {
            **config["process"],
            "terminal": False,
            "user": {"uid": USER, "gid": USER},
            "cwd": last("WORKDIR"),
            "env": [f"{name}={value.replace('${PATH}', path)}" for name, value in variables],
            "capabilities": {name: [] for name in sets},
            "noNewPrivileges": True,
            "args": list(command),
        },
    }


def test_it_can_write_nowhere_but_where_it_should(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])\n"
        "open('/tmp/x', 'w')\n"
        "open('/opt/stream-vae/x', 'w')\n"
    )
    done = run(tmp_path, "python3", "-c", script)
    assert done.stdout.split() == [str(USER), "0" * 16]
    assert "Read-only file system: '/opt/stream-vae/x'" in done.stderr


def test_it_says_what_it_is_made_of(tmp_path: Path) -> None:
    """Each package that is there, and the program itself."""
    script = (
        "import importlib.metadata, json\n"
        "parts = json.load(open('/usr/share/doc/stream-vae/sbom.cdx.json'))\n"
        "listed = {part['name'].lower() for part in parts['components']}\n"
        "there = {each.name.lower() for each in importlib.metadata.distributions()}\n"
        "print(sorted(there - listed - {'stream-vae'}), parts['metadata']['component']['name'])\n"
    )
    assert run(tmp_path, "python3", "-c", script).stdout.strip() == "[] stream-vae"


def test_the_whole_job_runs_in_it(tmp_path: Path) -> None:
    """Training, a daemon on a broker, its alerts, and its end by SIGTERM."""
    done = run(tmp_path, *json.loads(last("ENTRYPOINT")), "demo", "--out", "/tmp/demo")  # noqa: S108
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4" in done.stdout
