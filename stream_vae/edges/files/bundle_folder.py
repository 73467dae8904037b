"""The folder of a bundle, looked at before torch is loaded to read it."""

from pathlib import Path

from stream_vae.errors import BundleError
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE


def require_bundle(folder: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        BundleError: Says what is expected in it.
    """
    if not folder.is_dir():
        raise BundleError(
            f"bundle {folder}: no such folder; expected one with {MODEL_FILE} and {WEIGHTS_FILE}"
        )
