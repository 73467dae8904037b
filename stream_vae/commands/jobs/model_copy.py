"""Bundles copied between folders and object stores."""

from pathlib import Path

from stream_vae.commands.jobs.terminal import open_console, styled
from stream_vae.edges.files.bundle_files import check_bundle_target, read_bundle, write_bundle
from stream_vae.edges.store.bundle_store import is_url, read_stored, shown, write_stored
from stream_vae.errors import BundleError
from stream_vae.models.bundle_format import decode_bundle


def copy_bundle(source: str, target: str, *, force: bool) -> None:
    """Copy a bundle byte for byte, if it is whole.

    Raises:
        BundleError: If it cannot be read, was altered, or cannot be written.
        ConfigError: If a place is a URL and `obstore` is not installed.
    """
    files = read_stored(source) if is_url(source) else read_bundle(Path(source))
    try:
        spec = decode_bundle(files).spec
    except BundleError as error:
        raise BundleError(f"bundle {shown(source)}: {error}") from error
    if is_url(target):
        write_stored(files, target, replace=force)
    else:
        check_bundle_target(Path(target), replace=force)
        write_bundle(files, Path(target))
    text = styled(f"Model {spec.id}, version {spec.version}, copied.")
    open_console().print(text, soft_wrap=True)
