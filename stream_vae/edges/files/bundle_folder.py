"""A check of a bundle's folder that does not import torch."""

from pathlib import Path

from stream_vae.errors import BundleError
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE


def require_bundle(folder: Path) -> None:
    """Refuse a folder that does not exist.

    Raises:
        BundleError: Names the expected files.
    """
    try:
        is_there = folder.is_dir()
    except OSError as error:
        raise BundleError(f"bundle {folder}: cannot be read: {error}") from error
    if not is_there:
        raise BundleError(
            f"bundle {folder}: no such folder; expected one with {MODEL_FILE} and {WEIGHTS_FILE}"
        )
