"""Model bundles in object stores (`s3://`, `gs://`, `az://`) and on web servers (`https://`).

Who one is at a store is said by the variables that its own tools read (`AWS_ACCESS_KEY_ID`, ...) or
by the machine's identity; see obstore.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream_vae.errors import BundleError, ConfigError
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MAX_BYTES = 1 << 30
"""Of one object; bounds memory."""

_RETRIES = 5
_RETRY_FOR = timedelta(seconds=60)


def is_url(place: str) -> bool:
    """Tell a URL from a folder.

    >>> is_url("s3://bucket/pumps"), is_url("bundles/pumps")
    (True, False)
    """
    return "://" in place


def read_stored(url: str) -> dict[str, bytes]:
    """Read the files of a bundle from a store.

    Args:
        url: Of the folder that holds them.

    Raises:
        BundleError: If one is missing or cannot be read.
        ConfigError: If `obstore` is not installed.
    """
    files = {}
    with _named(url, "read"):
        store = _open(url)
        for name in (MODEL_FILE, WEIGHTS_FILE):
            found = store.get(name)
            if (size := found.meta["size"]) > MAX_BYTES:
                raise OSError(f"{name} has {size:,} bytes, expected at most {MAX_BYTES:,}")
            files[name] = bytes(found.bytes())
    return files


def write_stored(files: Mapping[str, bytes], url: str, *, replace: bool) -> None:
    """Write the files of a bundle to a store.

    A store moves no folders: who reads while a bundle is being replaced may find weights of the one
    and a model of the other, which the hash in the model tells. `MODEL_FILE` is written last.

    Args:
        files: Content by name.
        url: Of the folder to hold them.
        replace: Whether a bundle that is there may be replaced.

    Raises:
        BundleError: If they cannot be written, or one is there that must not be replaced.
        ConfigError: If `obstore` is not installed.
    """
    with _named(url, "written"):
        store = _open(url)
        if not replace and _has(store, MODEL_FILE):
            raise BundleError(
                f"bundle {shown(url)}: found a bundle there already; expected another place, or "
                "--force to replace it"
            )
        for name in sorted(files, key=MODEL_FILE.__eq__):
            store.put(name, files[name])


def _open(url: str) -> "ObjectStore":
    from obstore.store import from_url  # noqa: PLC0415 -- an extra

    return from_url(
        url,
        client_options={"allow_http": True},
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
    )


def _has(store: "ObjectStore", name: str) -> bool:
    try:
        store.head(name)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _named(url: str, done: str) -> Iterator[None]:
    """Tell errors of the store as the bundle's."""
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 -- an extra
    except ImportError:
        raise ConfigError(
            f"bundle {shown(url)}: found a URL; expected a folder, or the extra `store`: "
            "pip install 'stream-vae[store]'"
        ) from None
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        first = str(error).partition("\n")[0].replace(url, shown(url))
        raise BundleError(f"bundle {shown(url)}: cannot be {done}: {first}") from error


def shown(place: str) -> str:
    """Return a place without the password and the signature that a URL may hold.

    >>> shown("https://user:secret@host/pumps?sig=secret"), shown("bundles/a?b")
    ('https://host/pumps', 'bundles/a?b')
    """
    if not is_url(place):
        return place
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
