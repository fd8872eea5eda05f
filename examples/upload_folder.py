"""Upload a folder of photos, wait for their thumbnails, and download them as a zip.

python upload_folder.py http://127.0.0.1:8000 photos thumbnails.zip
"""

import os
import sys
import time
from pathlib import Path

import requests

server, folder, target = sys.argv[1:]
api = requests.Session()  # It keeps the cookie by which the job is yours.
if "TOKEN" in os.environ:
    api.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"


def call(method, url, **request):
    """Ask the API, or end with the reason."""
    answer = api.request(method, url, **request)
    return answer if answer.ok else sys.exit(answer.json()["detail"])


links = call("POST", f"{server}/api/v1/jobs", json={"presets": ["web-set"]}).json()["links"]
refused = 0
for position, photo in enumerate(sorted(filter(Path.is_file, Path(folder).iterdir()))):
    place = {"filename": photo.name, "position": position}
    answer = api.put(links["images"], params=place, data=photo.read_bytes())
    if answer.ok:
        print(photo.name)
    else:
        refused += 1
        print(f"{photo.name}: {answer.json()['detail']}", file=sys.stderr)
job = call("POST", f"{links['job']}/close").json()
while not job["is_finished"]:
    answer = call("GET", links["job"], headers={"Prefer": "wait=30"})
    job = answer.json()
    time.sleep(int(answer.headers.get("Retry-After", 0)))  # If no thread was free to wait.
with open(target, "wb") as file:
    file.writelines(call("GET", links["zip"], stream=True).iter_content(2**20))
if refused or job["counts"]["failed"]:
    sys.exit("Some files have no thumbnails.")
