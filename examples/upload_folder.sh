#!/bin/sh
# Upload a folder of photos, wait for their thumbnails, and download them as a zip.
#
# sh upload_folder.sh http://127.0.0.1:8000 photos thumbnails.zip
set -eu  # A request that is refused ends the script.
server=$1 folder=$2 target=$3
work=$(mktemp -d) && : >"$work/answer"
trap 'rm -rf "$work"' EXIT

# Ask the API; the answer is in a file, and cookies say that the job is yours. Print why it is refused.
api() {
  curl -sS -g --fail-with-body -b "$work/cookies" -c "$work/cookies" -o "$work/answer" \
    ${TOKEN:+-H "Authorization: Bearer $TOKEN"} "$@" || {
    sed -n 's/.*"detail":"\([^"]*\)".*/\1/p' "$work/answer" >&2
    echo >&2
    return 1
  }
}

# Percent-encode each byte.
encode() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

api --json '{"presets": ["web-set"]}' "$server/api/v1/jobs"
job=$server/api/v1/jobs/$(sed 's/^{"id":"\([^"]*\)".*/\1/' "$work/answer")

position=0 refused=
for photo in "$folder"/*; do
  [ -f "$photo" ] || continue
  if api -T "$photo" "$job/images?filename=$(encode "${photo##*/}")&position=$position"; then
    printf '%s\n' "$photo"
  else
    printf '%s is left out.\n' "$photo" >&2
    refused=yes
  fi
  position=$((position + 1))
done

api -X POST "$job/close"
until grep -q '"is_finished":true' "$work/answer"; do
  pause=$(api -H 'Prefer: wait=30' -w '%header{retry-after}' "$job")
  sleep "${pause:-0}"  # If no thread was free to wait.
done
grep -q '"failed":0,' "$work/answer" || refused=yes
api "$job/thumbnails.zip"
mv "$work/answer" "$target"
if [ "$refused" ]; then
  echo "Some files have no thumbnails." >&2
  exit 1
fi
