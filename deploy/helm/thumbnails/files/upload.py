"""Upload an image to SERVICE, with TOKEN if there is one, and wait for its thumbnail."""

import json
import os
import sys
import time
from io import BytesIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from PIL import Image

SECONDS = 90
SIZE = (100, 100)  # Of the thumbnail that thumbnail-api's route makes.
service = os.environ["SERVICE"]
headers = {"Authorization": f"Bearer {token}"} if (token := os.environ.get("TOKEN")) else {}


def get(path, data=None, more=None):
    """Return the type and the body of the answer; urllib follows to the thumbnail."""
    with urlopen(Request(service + path, data, headers | (more or {})), timeout=10) as answer:
        return answer.headers.get_content_type(), answer.read()


def main():
    picture = BytesIO()
    Image.new("RGB", (640, 480), "teal").save(picture, "PNG")
    head = 'Content-Disposition: form-data; name="file"; filename="helm-test.png"'
    body = b"--x\r\n%b\r\n\r\n%b\r\n--x--\r\n" % (head.encode(), picture.getvalue())
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    job = json.loads(get("/upload_image", body, kind)[1])["job_id"]
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        kind, answer = get(f"/check_job_status/{job}")
        if kind == "image/jpeg":
            size = Image.open(BytesIO(answer)).size
            return "" if size == SIZE else f"The thumbnail has {size} pixels, not {SIZE}."
        state = json.loads(answer)
        if state["status"] == "Error":
            return f"The image failed: {state['error']}"
        time.sleep(0.5)
    return f"There is no thumbnail after {SECONDS} s. Look at the log of the container worker."


try:
    failure = main()
except HTTPError as error:
    failure = f"{error.url} answered {error.code}: {error.read(500).decode(errors='replace')}"
except OSError as error:
    failure = f"{service} cannot be reached: {error}"
sys.exit(failure or print("An image was uploaded and its thumbnail downloaded."))
