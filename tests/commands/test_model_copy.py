"""`stream-vae model copy`: a bundle between folders, object stores and web servers."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream_vae.cli import build_app
from stream_vae.edges.files.bundle_files import save_bundle
from stream_vae.models.bundle_format import with_version
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE
from tests.models.conftest import random_bundle


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base's name
        pass


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(with_version(random_bundle()), tmp_path / "made" / "bundle")
    return tmp_path / "made" / "bundle"


@pytest.fixture
def web(bundle: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(bundle.parent)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def copy(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["model", "copy", *map(str, arguments)])


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_is_the_same_after_a_store_a_web_server_and_a_folder(
    bundle: Path, web: str, tmp_path: Path
) -> None:
    stored = (tmp_path / "store" / "pumps").as_uri()
    (tmp_path / "store" / "pumps").mkdir(parents=True)
    for source, target in (
        (bundle, stored),
        (stored, tmp_path / "fetched"),
        (f"{web}/{bundle.name}", tmp_path / "from-web"),
        (tmp_path / "fetched", tmp_path / "copied"),
    ):
        result = copy(source, target)
        assert result.exit_code == 0, result.output
    names = ("store/pumps", "fetched", "from-web", "copied")
    for folder in (tmp_path / name for name in names):
        assert content(folder) == content(bundle)


def test_what_is_there_is_replaced_only_by_force(bundle: Path, tmp_path: Path) -> None:
    """The whole folder, as a pod that starts again finds its old one."""
    stored = tmp_path / "store"
    stored.mkdir()
    for target in (stored.as_uri(), str(tmp_path / "folder")):
        assert copy(bundle, target).exit_code == 0
        refused = copy(bundle, target)
        assert isinstance(refused.exception, Exception)
        assert "--force" in str(refused.exception)
        assert copy(bundle, target, "--force").exit_code == 0


@pytest.mark.parametrize("fault", ["altered", "missing", "no such store"])
def test_a_bundle_that_is_not_whole_is_not_copied(fault: str, bundle: Path, tmp_path: Path) -> None:
    stored = tmp_path / "store"
    stored.mkdir()
    for name, raw in content(bundle).items():
        (stored / name).write_bytes(raw)
    source = stored.as_uri()
    if fault == "altered":
        raw = (stored / WEIGHTS_FILE).read_bytes()
        (stored / WEIGHTS_FILE).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    elif fault == "missing":
        (stored / MODEL_FILE).unlink()
    else:
        source = "nonsense://user:secret@bucket/pumps?sig=secret"
    result = copy(source, tmp_path / "fetched")
    assert f"bundle {source.split('://')[0]}://" in str(result.exception)
    assert "secret" not in str(result.exception)
    assert not (tmp_path / "fetched").exists()
