"""Folders by descriptor: links in the way, modes at every instant."""

import os
import stat

import pytest
from ansible_collections.drover.platform.plugins.module_utils import disk
from ansible_collections.drover.platform.plugins.module_utils.disk import (
    HostError,
    give,
    look,
    opened,
    read,
    remove,
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_below_a_listed_folder_is_not_followed(tmp_path):
    (tmp_path / "listed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "listed/way").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="way"), opened(f"{tmp_path}/listed/way", {f"{tmp_path}/listed"}):
        pass


def test_a_listed_folder_itself_may_not_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "listed").symlink_to(tmp_path / "real")
    with pytest.raises(HostError, match="listed"), opened(f"{tmp_path}/listed", {f"{tmp_path}/listed"}):
        pass


@pytest.mark.parametrize("target", ["real", "../{name}/real"])
def test_our_own_link_above_the_listed_folders_is_followed(tmp_path, target):
    (tmp_path / "real/inside").mkdir(parents=True)
    (tmp_path / "real/inside/file").write_text("x")
    (tmp_path / "link").symlink_to(target.format(name=tmp_path.name))
    assert read(f"{tmp_path}/link/inside/file", {f"{tmp_path}/link/inside"}) == b"x"


def test_a_link_in_a_folder_that_others_write_is_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open/link").symlink_to(tmp_path / "real")
    with pytest.raises(HostError, match="others than root"), opened(f"{tmp_path}/open/link"):
        pass


def test_links_in_a_circle_are_named(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(HostError, match="circles"), opened(f"{tmp_path}/a"):
        pass


def test_the_last_component_is_looked_at_and_not_followed(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert look(f"{tmp_path}/link").kind == "link"
    with pytest.raises(OSError):
        read(f"{tmp_path}/link")


def test_nothing_is_found_below_a_missing_folder(tmp_path):
    assert look(f"{tmp_path}/missing/file") is None
    assert disk.names(f"{tmp_path}/missing") == []


def test_the_root_can_be_looked_at():
    assert look("/").kind == "folder"


def test_a_folder_is_removed_without_following_links(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "gone/deep").mkdir(parents=True)
    (tmp_path / "gone/deep/link").symlink_to(tmp_path / "kept")
    with opened(str(tmp_path)) as folder:
        remove(folder, "gone")
        remove(folder, "never there")
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]
    assert (tmp_path / "kept/file").read_text() == "x"


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o600, 0o644), (0o640, 0o604)])
def test_owner_and_mode_change_by_way_of_the_narrower_mode(tmp_path, monkeypatch, before, after):
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(before)
    seen = []
    real = os.fchown

    def fchown(descriptor, uid, gid):
        seen.append(mode(path))
        real(descriptor, uid, gid)
        seen.append(mode(path))

    monkeypatch.setattr(disk.os, "fchown", fchown)
    descriptor = os.open(path, os.O_RDONLY)
    give(descriptor, 1234, 1234, after)
    os.close(descriptor)
    assert all(instant & before & after == instant for instant in seen) and seen
    assert (path.stat().st_uid, mode(path)) == (1234, after)


def test_a_new_file_is_nobody_elses_whatever_the_umask(tmp_path):
    umask = os.umask(0)
    try:
        with opened(str(tmp_path)) as folder:
            os.close(disk.create(folder, "new", b"x" * 100_000))
    finally:
        os.umask(umask)
    assert mode(tmp_path / "new") == 0o600
    assert (tmp_path / "new").stat().st_size == 100_000


def test_a_planted_name_is_not_written_through(tmp_path):
    (tmp_path / "new").symlink_to(tmp_path / "victim")
    with opened(str(tmp_path)) as folder, pytest.raises(FileExistsError):
        disk.create(folder, "new", b"x")
    assert not (tmp_path / "victim").exists()
