"""The folder of a bundle, looked at before torch is loaded to read it."""

from pathlib import Path

from stream_vae.errors import BundleError
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE


def require_bundle(folder: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        BundleError: Says what is expected in it.
    """
    try:
        is_there = folder.is_dir()
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be read: {error}") from error
    if not is_there:
        raise BundleError(
            f"bundle {folder}: no such folder; expected one with {MODEL_FILE} and {WEIGHTS_FILE}"
        )
