from pathlib import Path

import pytest

from stream_vae.edges.files import bundle_files
from stream_vae.edges.files.bundle_files import check_bundle_target, load_bundle, save_bundle
from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import encode_bundle
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE
from tests.models.conftest import random_bundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return random_bundle()


def test_saved_bundle_is_loaded_unchanged(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "pump"
    save_bundle(bundle, folder)
    assert encode_bundle(load_bundle(folder)) == encode_bundle(bundle)
    assert [path.name for path in folder.parent.iterdir()] == ["pump"]
    assert {path.name for path in folder.iterdir()} == {MODEL_FILE, WEIGHTS_FILE}


def test_existing_bundle_is_replaced_whole(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "pump"
    folder.mkdir()
    save_bundle(bundle, folder)
    other = random_bundle(seed=1)
    save_bundle(other, folder)
    assert load_bundle(folder).spec.version == other.spec.version != bundle.spec.version
    assert [path.name for path in tmp_path.iterdir()] == ["pump"]


def test_failure_while_writing_leaves_the_old_bundle(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the second file: the old bundle stands, nothing else is left behind."""
    folder = tmp_path / "pump"
    save_bundle(bundle, folder)
    write = bundle_files._write_through
    written: list[Path] = []

    def write_one(path: Path, content: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(bundle_files, "_write_through", write_one)
    with pytest.raises(BundleError, match=r"pump: cannot be written: .*No space left"):
        save_bundle(random_bundle(seed=1), folder)
    assert load_bundle(folder).spec.version == bundle.spec.version
    assert [path.name for path in tmp_path.iterdir()] == ["pump"]


def test_foreign_files_are_never_removed(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match=r"found 'thesis.txt' in it, expected an empty folder"):
        save_bundle(bundle, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_the_place_of_the_folder_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "pump").write_text("")
    with pytest.raises(BundleError, match="found a file, expected a folder or nothing"):
        save_bundle(bundle, tmp_path / "pump")
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "pump")


def test_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle .*gone: no such folder; expected one with"):
        load_bundle(tmp_path / "gone")


@pytest.mark.parametrize("name", [MODEL_FILE, WEIGHTS_FILE])
def test_missing_or_altered_file_is_refused_by_folder_and_name(
    bundle: Bundle, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "pump"
    save_bundle(bundle, folder)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-20])
    with pytest.raises(BundleError, match=rf"bundle .*pump: {name}: truncated"):
        load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"bundle .*pump: {name}: missing"):
        load_bundle(folder)
    (folder / name).mkdir()
    with pytest.raises(BundleError, match=r"bundle .*pump: cannot be read"):
        load_bundle(folder)


def test_a_bundle_is_replaced_only_if_that_is_wanted(bundle: Bundle, tmp_path: Path) -> None:
    """Controls: a new place, and an empty folder, need no word."""
    folder = tmp_path / "pump"
    check_bundle_target(folder, replace=False)
    folder.mkdir()
    check_bundle_target(folder, replace=False)
    save_bundle(bundle, folder)
    with pytest.raises(BundleError, match=r"found a bundle there already; expected .* --force"):
        check_bundle_target(folder, replace=False)
    check_bundle_target(folder, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["pump"]


def test_a_linked_bundle_is_replaced_where_it_lies(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "pump")
    save_bundle(bundle, tmp_path / "link")
    save_bundle(bundle, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load_bundle(tmp_path / "pump").spec.version == bundle.spec.version


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("file", "found a file"),
        ("file/x", "cannot be written: .*Not a directory"),
        ("/dev/null/x", "cannot be written: .*Not a directory"),
        ("/proc/new/x", "cannot be written"),
        ("/", "found a mount point"),
        ("x" * 250, "cannot be written: .*name too long"),
        ("loop", "Symlink loop"),
        ("foreign", "found 'thesis.txt' in it"),
    ],
)
def test_a_place_that_cannot_be_written_is_known_before_there_is_a_bundle(
    tmp_path: Path, place: str, told: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("years of work")
    before = sorted(tmp_path.rglob("*"))
    for replace in (False, True):
        with pytest.raises(BundleError, match=told):
            check_bundle_target(tmp_path / place, replace=replace)
    assert sorted(tmp_path.rglob("*")) == before
