"""Videos of FER2013's faces, and servers that send them."""

from __future__ import annotations

import io
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edgefer import data
from tests.helpers import pictures

SYSTEM_PYTHON = Path("/usr/bin/python3")  # Debian's, with GStreamer's bindings


def two_faces(fer2013: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return frames with a happy and with a surprised face at the same position, uint8, (240, 320, 3)."""
    val = data.split(data.load(fer2013), "val")
    faces = [pictures.happy(fer2013, 1)[0], val.take(np.flatnonzero(val.labels == 5)[:1])[0]]
    frames = [pictures.lay([(face, 100, 60, 120)], (320, 240)) for face in faces]
    return np.repeat(frames[0][..., None], 3, 2), np.repeat(frames[1][..., None], 3, 2)


def write(file: Path, frames: Sequence[np.ndarray], rate: int = 15, rotation: int = 0) -> Path:
    """Write a video of RGB frames."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file


def jpeg(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue()


def free_port() -> int:
    """Return a port for a restarting server: below 32768, so that no client gets it in the meantime."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


@contextmanager
def http(frames: Sequence[np.ndarray], rate: float, port: int = 0) -> Iterator[str]:
    """Send frames repeatedly like a camera, multipart/x-mixed-replace; at the end cut all connections."""
    pictures_ = [jpeg(pixels) for pixels in frames]
    ended = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = 0
            try:
                while not ended.is_set():
                    content = pictures_[number % len(pictures_)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
                    self.wfile.write(head.encode() + content + b"\r\n")
                    number += 1
                    ended.wait(1 / rate)
            except OSError:
                pass

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", port), Camera)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


_RTSP = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, pattern = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( multifilesrc location={pattern} loop=true caps=image/jpeg,framerate=15/1 ! jpegdec ! videoconvert "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! video/x-h264,profile=baseline "
    "! rtph264pay name=pay0 pt=96 )"
)
server.get_mount_points().add_factory("/faces", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


def need_rtsp() -> None:
    """Skip without an RTSP server."""
    tried = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
    tried += "Gst.init(None); assert all(map(Gst.ElementFactory.find, ['x264enc', 'rtph264pay', 'jpegdec']))"
    if not SYSTEM_PYTHON.exists() or subprocess.run([SYSTEM_PYTHON, "-c", tried], capture_output=True).returncode:
        pytest.skip("GStreamer's RTSP server is not here; CONTRIBUTING.md names the packages")


@contextmanager
def rtsp(frames: Sequence[np.ndarray], folder: Path, port: int) -> Iterator[str]:
    """Send frames repeatedly over RTSP, as H.264, 15 a second; at the end kill the server."""
    for number, pixels in enumerate(frames):
        (folder / f"frame{number}.jpg").write_bytes(jpeg(pixels))
    command = [str(SYSTEM_PYTHON), "-c", _RTSP, str(port), f"{folder}/frame%d.jpg"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield f"rtsp://127.0.0.1:{port}/faces"
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def until(true: object, seconds: float = 120) -> None:
    """Wait until a call returns something true."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
