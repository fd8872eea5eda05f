thumb() (  # thumb photo.jpg [preset]
  read_answer() { printf '%s\n' "$answer" | sed -n "s/.*$1.*/\1/p"; }
  answer=$(curl -sS -i --data-binary @"$1" -H 'Content-Type: application/octet-stream' \
    ${TOKEN:+-H "Authorization: Bearer $TOKEN"} \
    "{{ origin }}/api/v1/jobs?preset=${2:-card}&wait=30") || return
  while [ "$(read_answer '"is_finished":\([a-z]*\)')" = false ]; do
    pause=$(read_answer '[Rr]etry-[^:]*: \([0-9]*\)')
    sleep "${pause:-0}"
    answer=$(curl -sS -i "$(read_answer '"job":"\([^"]*\)"')?wait=30") || return
  done
  reason=$(read_answer '"detail":"\([^"]*\)"')
  if [ "$reason" ]; then printf '%s\n' "$reason" >&2; return 1; fi
  url=$(read_answer '"thumbnails":\[{[^}]*"url":"\([^"]*\)"[^}]*}\]')  # If it is the only one.
  url=${url:-$(read_answer '"zip":"\([^"]*\)"')}
  curl -sSf -o "${1%.*}-${2:-card}.${url##*.}" "$url"
)
