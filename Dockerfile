# The bundle's image: static programs, trusted roots and a user, nothing else.
# `make image` fills bin/image and builds it; no step runs or fetches anything.
FROM scratch
ARG VERSION=devel
ARG PIPELOCK_SHA256=none
LABEL org.opencontainers.image.title="claude-bottle-sidecars" \
      org.opencontainers.image.version="${VERSION}" \
      claude-bottle.image="sidecars" \
      claude-bottle.pipelock.sha256="${PIPELOCK_SHA256}"
COPY bin/image/ /
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=4s --start-period=15s CMD ["/sidecars", "health"]
ENTRYPOINT ["/sidecars"]
