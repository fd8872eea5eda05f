# One image for the web server and the consumer; docs/deploy-docker.md goes from nothing to running.
#   make build-docker
#
# The tag follows the releases of Python and Debian, so each build gets their fixes. For
# reproducible builds, pin the base by its digest, which `docker buildx imagetools inspect
# python:3.13-slim` shows:
#   make build-docker BASE=python:3.13-slim@sha256:...
ARG BASE=python:3.13-slim

FROM ${BASE} AS builder
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv /venv

# Only the locks, so that a change of the code does not install everything again. Without isolation:
# that would fetch the tools of a build, which no lock names.
COPY requirements-build.txt requirements.txt ./
RUN pip install --require-hashes --no-deps -r requirements-build.txt \
    && PKG_CONFIG=false pip install --require-hashes --no-deps --no-build-isolation -r requirements.txt

# ARM64 has no wheel of pysqlite3. BUILD_SQLITE=1 builds it where there is one, to try that.
ARG BUILD_SQLITE=""
ARG SQLITE_URL=https://sqlite.org/2026/sqlite-amalgamation-3530400.zip
COPY deploy/build-pysqlite3 ./
RUN if [ -n "$BUILD_SQLITE" ]; then pip uninstall --yes pysqlite3; fi \
    && if ! python3 -c 'import pysqlite3'; then ./build-pysqlite3 "$PWD/requirements.txt" "$SQLITE_URL"; fi

# Nothing is installed in the image, so it needs no pip. Bytecode by the hash of its source, unchecked:
# it is valid whatever becomes of the files' times, and nothing is compiled when a container starts.
RUN pip uninstall --yes setuptools pip \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv
WORKDIR /app
COPY LICENSE THIRD_PARTY.md Procfile gunicorn.conf.py wsgi.py ./
COPY webapp webapp
COPY templates templates
COPY static static
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM ${BASE}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=8000 THUMBNAIL_INSTANCE=/data
# A new named volume gets the owner of the folder that it covers. So does Fly's, from the user of the
# image, and Kubernetes' by fsGroup. Folders of the host are for the operator to give to this user.
RUN groupadd --gid 10001 thumbnails \
    && useradd --no-log-init --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin thumbnails \
    && install --directory --owner 10001 --group 10001 --mode 750 /data
COPY --from=builder /venv /venv
COPY --from=builder /app /app
WORKDIR /app

# Fails where SQLite can damage a database. It also compiles what it imports of Python itself, which
# comes without bytecode in the official image, and which the user of the image cannot write.
RUN instance=$(mktemp -d) \
    && THUMBNAIL_INSTANCE=$instance python3 -c "import gunicorn.app.wsgiapp, huey.bin.huey_consumer, \
webapp.consumer, webapp.engine.decode_server, webapp.serve, wsgi" \
    && rm -r "$instance" \
    && python3 -c "from webapp.jobs.database import has_wal_reset_bug, sqlite3 as s; \
exit(has_wal_reset_bug(s.sqlite_version_info) and f'SQLite {s.sqlite_version} can damage a database.')"

# The user cannot write to the code.
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthcheck')"]
CMD ["python3", "-m", "webapp.serve"]

ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
# Of everything above the base image, by THIRD_PARTY.md, which says what this means. The base has its
# own in /usr/share/doc.
LABEL org.opencontainers.image.title="Thumbnails" \
      org.opencontainers.image.description="A web app that turns images into thumbnails" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE:+${SOURCE}/blob/main/docs/deploy-docker.md}" \
      org.opencontainers.image.licenses="0BSD AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND FTL AND GPL-2.0-or-later AND IJG AND LGPL-2.1-or-later AND LGPL-3.0-only AND LGPL-3.0-or-later AND MIT AND MIT-0 AND MIT-CMU AND MPL-2.0 AND Zlib AND blessing AND libpng-2.0 AND libtiff"
