# The image of the service: see docs/DEPLOYMENT.md.
#
#   docker build --build-arg VERSION=0.2.0 --build-arg COMMIT="$(git rev-parse HEAD)" -t todo-backend .

FROM rust:1.95-slim-bookworm AS build
# The base image already has a C compiler.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies are built with an empty program. This layer is cached until they change, so later builds take much
# less time.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
 && cargo build --profile dist --locked --bin todo-backend \
 && rm -r src

COPY migrations migrations
COPY src src
# COMMIT is declared after the dependencies, so that a new commit does not rebuild them.
ARG COMMIT=unknown
# Cargo compares file times, and the sources may be older than the empty program that they replace.
RUN touch src/lib.rs src/main.rs \
 && COMMIT="$COMMIT" cargo build --profile dist --locked --bin todo-backend


FROM debian:bookworm-slim
# The user is given by its number below, so that an orchestrator can check that it is not root. The service writes only
# to /srv/data, and only with SQLite. A volume should be mounted there.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /srv --shell /usr/sbin/nologin todo \
 && install -d -o todo -g todo -m 0700 /srv/data
# Only this file of ca-certificates is needed, and the package would also install the openssl program.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/target/dist/todo-backend /usr/local/bin/

# HOST is not the default 127.0.0.1, which cannot be reached from outside the container. SSL_CERT_FILE contains the root
# certificates. SQLITE_TMPDIR is a directory for large sorts, because the root file system may be read-only.
ENV HOST=0.0.0.0 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SQLITE_TMPDIR=/srv/data
# The default database, sqlite://data/todo.db, is relative to this directory.
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
# After SIGTERM, the service waits up to 8 s for requests in flight. By default, Docker kills the process 10 s after
# SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["todo-backend", "healthcheck"]
ENTRYPOINT ["todo-backend"]

# The labels come last, because they change with every build.
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="todo-backend" \
      org.opencontainers.image.description="The backend of a multi-user todo application" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
