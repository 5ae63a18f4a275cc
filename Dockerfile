# Tickward in a container. What it looks after is in the volume /tickward: data/, logs/ and, if there is one, config.toml.
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md config.toml ./
COPY handlers handlers
COPY watcher watcher
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[all]"

FROM python:3.13-slim-bookworm
# Nothing but what has just been built can be installed.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels "tickward[all]"
# Only the owner of a file may ask the kernel whether somebody has it open: the writer must run as the same user.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tickward \
    && install --directory --owner=tickward --group=tickward /tickward
USER 10001:10001
WORKDIR /tickward
VOLUME /tickward
STOPSIGNAL SIGTERM
# 1 is ATTENTION: somebody should look, but a new container would change nothing.
HEALTHCHECK --interval=60s --timeout=15s --start-period=30s \
    CMD ["sh", "-c", "tickward status >/dev/null; test $? -lt 2"]
ENTRYPOINT ["tickward"]
CMD ["run"]
