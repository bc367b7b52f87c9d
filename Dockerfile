# The service alone, in an image of its own: see docs/DEPLOYMENT.md.
#
#   docker build --build-arg VERSION=0.2.0 --build-arg COMMIT="$(git rev-parse HEAD)" -t todo-backend .

FROM rust:1.95-slim-bookworm AS build
# The C compiler is in the base image already.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies, around an empty program: a layer that stays until they change, and saves most of the
# time of every later build.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
 && cargo build --release --locked --bin todo-backend \
 && rm -r src

COPY migrations migrations
COPY src src
# Not earlier: another commit must not cost another build of the dependencies.
ARG COMMIT=unknown
# Cargo goes by file times, and the sources may be older than the empty program that they replace.
RUN touch src/lib.rs src/main.rs \
 && COMMIT="$COMMIT" cargo build --release --locked --bin todo-backend


FROM debian:bookworm-slim
# By number, so that an orchestrator can see that it is not root. The folder is the only one that the
# service ever writes to, and only with the embedded database: mount a volume there.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /srv --shell /usr/sbin/nologin todo \
 && install -d -o todo -g todo -m 0700 /srv/data
# The one file of ca-certificates that is read; the package would bring the openssl program along.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/target/release/todo-backend /usr/local/bin/

# HOST: a container's own loopback is reached by nobody else.
# SSL_CERT_FILE: where the system's root certificates are.
# SQLITE_TMPDIR: where large sorts go when everything else is read-only.
ENV HOST=0.0.0.0 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SQLITE_TMPDIR=/srv/data
# sqlite://data/todo.db, the default, is relative to this.
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
# Lets running requests end, for 8 s at most: less than the 10 s after which Docker kills.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["todo-backend", "healthcheck"]
ENTRYPOINT ["todo-backend"]

# Last, since they change with every build.
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="todo-backend" \
      org.opencontainers.image.description="The backend of a multi-user todo application" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
