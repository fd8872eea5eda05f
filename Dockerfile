# One image for the web server and the consumer: the Procfile starts both.
#   docker build -t thumbnails .
#   docker run --stop-timeout 45 -p 127.0.0.1:8000:8000 -v thumbnails:/data thumbnails
#
# The tag follows the releases of Python and Debian, so each build gets their fixes. For
# reproducible builds, pin the base by its digest, which `docker buildx imagetools inspect
# python:3.13-slim` shows:
#   docker build --build-arg BASE=python:3.13-slim@sha256:... -t thumbnails .
ARG BASE=python:3.13-slim
FROM ${BASE}

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Only the lock, so that a change of the code does not install everything again.
WORKDIR /app
COPY requirements.txt .
RUN python3 -m venv /venv && /venv/bin/pip install --require-hashes --no-deps -r requirements.txt

COPY Procfile gunicorn.conf.py wsgi.py ./
COPY webapp webapp
COPY templates templates
COPY static static

# The entrypoint runs the server as this user, who can write to /data but not to the code.
RUN useradd --system --uid 10001 --home-dir /data thumbnails \
    && install --directory --owner thumbnails --group thumbnails --mode 750 /data
VOLUME /data
COPY deploy/docker-entrypoint /usr/local/bin/

ENV PATH=/venv/bin:$PATH HOST=0.0.0.0 PORT=8000 THUMBNAIL_INSTANCE=/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthcheck')"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["python3", "-m", "webapp.serve"]
