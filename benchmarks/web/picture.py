"""docs/browser.webp: the page of `edgefer export web` on a phone-sized screen.

python benchmarks/web/picture.py --skimage FOLDER [--detector FILE]

Chromium opens edgefer-base's large form, 400 pixels wide, and judges NASA's portrait of Eileen Collins (public domain),
which scikit-image's wheel has.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import io
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the tests' browser

from edgefer import bundle  # noqa: E402
from edgefer.export import web_folder  # noqa: E402
from edgefer.live.notice import NOTICE  # noqa: E402
from tests.helpers import browser as browsers  # noqa: E402

OUT = ROOT / "docs" / "browser.webp"
WIDTH = 400
PART = (60, 0, 400, 290)  # portrait crop around the face


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skimage", type=Path, required=True, help="where scikit-image's wheel is unpacked")
    parser.add_argument("--detector", type=Path, help="YuNet's file, if it is not in the cache")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        portrait = folder / "portrait.png"
        with Image.open(arguments.skimage / "skimage" / "data" / "astronaut.png") as image:
            image.crop(PART).resize((720, 580), Image.Resampling.BICUBIC).save(portrait)
        page = folder / "page"
        opened = bundle.load("edgefer-base")
        web_folder.write(opened, page, notice=NOTICE[:-1], min_confidence=0.35, detector=arguments.detector)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(page))
        with (
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
            browsers.browser(folder / "profile") as browser,
        ):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser.open(f"http://127.0.0.1:{server.server_port}/", width=WIDTH)
            while browser.run("document.getElementById('state').textContent") != "Ready":
                time.sleep(0.1)
            browser.run("document.getElementById('agreed').click()")
            document = browser.send("DOM.getDocument")["root"]["nodeId"]
            node = browser.send("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
            browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(portrait)])
            while not browser.run("document.querySelector('#faces h3') !== null"):
                time.sleep(0.1)
            browser.run("document.activeElement.blur()")
            browser.screenshot(folder / "page.png", whole=False)
            server.shutdown()
        with Image.open(folder / "page.png") as shot:
            stream = io.BytesIO()
            shot.convert("RGB").save(stream, "WEBP", quality=82, method=6)
    OUT.write_bytes(stream.getvalue())
    print(OUT, len(stream.getvalue()))


if __name__ == "__main__":
    main()
