"""Upload a folder of photos, wait for their thumbnails, and download them as a zip.

python upload_folder.py http://127.0.0.1:8000 photos thumbnails.zip
"""

import os
import sys
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
for position, photo in enumerate(sorted(filter(Path.is_file, Path(folder).iterdir()))):
    place = {"filename": photo.name, "position": position}
    answer = api.put(links["images"], params=place, data=photo.read_bytes())
    print(photo.name, answer.json().get("detail", "uploaded"))
job = call("POST", f"{links['job']}/close").json()
while not job["is_finished"]:
    job = call("GET", links["job"], headers={"Prefer": "wait=30"}).json()
with open(target, "wb") as file:
    file.writelines(call("GET", links["zip"], stream=True).iter_content(2**20))
