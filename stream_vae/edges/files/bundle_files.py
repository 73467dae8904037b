"""Model bundles as folders on disk."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stream_vae.edges.files.bundle_folder import require_bundle
from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import decode_bundle, encode_bundle
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE

_NAMES = (MODEL_FILE, WEIGHTS_FILE)
MAX_BYTES = 1 << 30
"""Of one file; bounds memory."""


def check_bundle_target(folder: Path, *, replace: bool) -> None:
    """Refuse a folder that `save_bundle` could not write, before training rather than after it.

    Args:
        folder: Target of the bundle; not changed.
        replace: Whether an existing bundle may be replaced.

    Raises:
        BundleError: If one exists but must not be replaced, or the folder cannot be written.
    """
    try:
        target = _target(folder)
        _refuse_foreign(folder)
        if not replace and target.is_dir() and any(target.iterdir()):
            raise BundleError(
                f"bundle {folder}: found a bundle there already; expected another folder, or "
                "--force to replace it"
            )
        parent = next(path for path in target.parents if path.exists())
        tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=parent).cleanup()
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be written: {error}") from error


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle; `folder` then holds all of it, or is unchanged.

    A new folder is written beside its final name and moved there in one step. An existing one is
    replaced only if it is empty or holds a bundle and nothing else: it is moved aside first, so a
    crash between the two moves leaves no bundle under the name, never half of one.

    Raises:
        BundleError: If the folder cannot be written, or holds other files.
    """
    write_bundle(encode_bundle(bundle), folder)


def write_bundle(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a bundle, as `save_bundle` does.

    Raises:
        BundleError: If the folder cannot be written, or holds other files.
    """
    try:
        target = _target(folder)
        _refuse_foreign(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            for name, content in files.items():
                _write_through(staging / name, content)
            staging.chmod(0o755)
            _move_into_place(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be written: {error}") from error


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle.

    Raises:
        BundleError: If the folder or a file is missing, unreadable, or was altered.
    """
    files = read_bundle(folder)
    try:
        return decode_bundle(files)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from error


def read_bundle(folder: Path) -> dict[str, bytes]:
    """Read the files of a bundle as they are.

    Raises:
        BundleError: If the folder is missing, or a file cannot be read.
    """
    require_bundle(folder)
    try:
        return {name: _read(folder / name) for name in _NAMES if (folder / name).exists()}
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be read: {error}") from error


def _read(path: Path) -> bytes:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(f"{path.name} is a pipe or a device, expected a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(f"{path.name} has more than {MAX_BYTES:,} bytes, expected fewer")
    return content


def _target(folder: Path) -> Path:
    """Return the folder itself, resolved from a link or the current directory."""
    try:
        target = folder.resolve()
    except RuntimeError as error:  # a link that leads to itself
        raise BundleError(f"bundle {folder}: {error}") from error
    if target.is_mount():
        raise BundleError(
            f"bundle {folder}: found a mount point, which cannot be replaced in one step; expected "
            "a folder in it"
        )
    return target


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"bundle {folder}: found a file, expected a folder or nothing")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _NAMES)
    if foreign:
        raise BundleError(
            f"bundle {folder}: found {foreign[0]!r} in it, expected an empty folder or a bundle to "
            "replace"
        )


def _write_through(path: Path, content: bytes) -> None:
    """Write a file and sync it to disk, so that it precedes the rename."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move_into_place(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    aside = staging.with_name(staging.name + "-old")
    folder.rename(aside)
    try:
        staging.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)
