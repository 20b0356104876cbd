"""Recording: nothing is lost silently, and nothing is left if nothing was recorded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgefer.errors import InputError
from edgefer.live.events import Frame
from edgefer.live.record import Recording

FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from edgefer.errors import MissingRequirement
from edgefer.live.events import Frame
from edgefer.live.record import Recording

noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    with Recording(Path(sys.argv[1])) as recording:
        for number, pixels in enumerate(noise):
            recording.add(pixels, Frame(number, number / 10, 0.0, 64, 64, (), 1.0))
except MissingRequirement as error:
    print(error)
"""


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
def test_a_full_disk_is_said(tmp_path: Path, ending: str) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / f"v.{ending}")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    said = f"{tmp_path}/v.{ending} can no longer be written: File too large\n"
    assert (done.stdout, done.stderr) == (said, "")


def test_where_nothing_can_be_written_is_said_before_the_camera_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; name another file"):
        Recording(tmp_path / "nowhere" / "v.mp4")
    (tmp_path / "v.mp4").touch()
    with pytest.raises(InputError, match="already exists"):
        Recording(tmp_path / "v.mp4")


def test_without_a_frame_no_file_is_left(tmp_path: Path) -> None:
    with Recording(tmp_path / "v.mkv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_meanwhile_is_what_is_raised(tmp_path: Path) -> None:
    def recorded() -> None:
        with Recording(tmp_path / "v.mp4") as recording:
            recording.add(np.zeros((64, 64, 3), np.uint8), Frame(0, 0.0, 0.0, 64, 64, (), 1.0))
            raise KeyError

    with pytest.raises(KeyError):
        recorded()
    assert (tmp_path / "v.mp4").stat().st_size > 0
