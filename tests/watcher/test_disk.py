"""What kind of file system a path is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.disk import Mount, is_network, mount_of

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /srv rw,relatime - xfs /dev/sdb1 rw
31 30 0:26 / /srv/far\040away rw,relatime shared:7 master:1 - nfs4 nas:/ticks rw
32 22 0:27 / /over rw - ext4 /dev/sdc1 rw
33 32 0:28 / /over rw - tmpfs tmpfs rw
a line that nobody understands
"""


class TestTheFileSystem:
    @pytest.mark.parametrize(
        ("path", "mount"),
        [
            ("/tmp/x", Mount("ext4", "/")),
            ("/srv", Mount("xfs", "/srv")),
            ("/srvant", Mount("ext4", "/")),
            ("/srv/far away/2026", Mount("nfs4", "/srv/far away")),
            ("/over/it", Mount("tmpfs", "/over")),
        ],
    )
    def test_is_the_one_that_is_mounted_nearest(self, path: str, mount: Mount) -> None:
        assert mount_of(Path(path), TABLE)[:2] == mount[:2]

    def test_tells_of_what_it_is_and_how_it_is_mounted(self) -> None:
        found = mount_of(Path("/srv/far away"), TABLE)
        assert (found.source, found.options) == ("nas:/ticks", {"rw", "relatime"})

    def test_is_empty_where_it_cannot_be_told(self) -> None:
        assert mount_of(Path("/tmp"), "") == Mount("", "")

    def test_of_a_link_is_that_of_its_target(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/srv/2026")
        assert mount_of(tmp_path / "link", TABLE).kind == "xfs"


@pytest.mark.parametrize(
    ("kind", "is_one"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("", False)]
)
def test_file_systems_that_other_machines_share_are_known(kind: str, is_one: bool) -> None:
    assert is_network(kind) is is_one
