# The one image of all Fanfare services: `fanfare serve` by default, `fanfare ingest`, `fanout`, `delivery` or `console` by
# its command.
#
#     docker build --tag fanfare:0.1.0 .
#     docker buildx build --platform linux/amd64,linux/arm64 --tag registry.example/fanfare:0.1.0 --push .
#
# Nothing in here is of one architecture: each platform is built on a machine of its own kind, or by emulation. The image has
# the binary, the C library it was linked with and the certificate authorities: no shell, no package manager.

# As rust-toolchain.toml has it, which the build does not see: it would fetch lints and formatter too.
FROM docker.io/library/rust:1.95.0-slim-bookworm AS base
WORKDIR /src
ENV CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0

# The manifests, and of the sources only that they exist. This stage is made anew with every change; what the next one takes
# from it changes only with the manifests.
FROM base AS manifests
COPY . .
RUN find . -type f ! -name 'Cargo.*' ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/benches/*.rs' -delete \
    && find . -type d -empty -delete \
    && find . -name lib.rs -exec truncate --size 0 {} + \
    && for file in $(find . -name main.rs -o -path '*/benches/*.rs'); do echo 'fn main() {}' > "$file"; done

FROM base AS build
# All dependencies, in a layer of their own: a build after a change of Fanfare's code begins behind it.
COPY --from=manifests /src .
RUN cargo build --release --locked --package fanfare
COPY . .
# Cargo goes by times, and those of a checkout are older than the empty files that were built above.
RUN find crates -path '*/src/*.rs' -exec touch {} + \
    && cargo build --release --locked --package fanfare
# The image's file system: the binary, the libraries that it names, the authorities, a user, and who made what.
RUN set -eu; mkdir -p /image/usr/bin /image/etc/ssl/certs /image/usr/share/doc/fanfare /image/tmp; \
    cp target/release/fanfare /image/usr/bin/fanfare; \
    ldd /image/usr/bin/fanfare | grep --only-matching '/[^ ]*' | sort --unique \
        | xargs cp --parents --dereference --target-directory /image; \
    cp --dereference /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf; \
    echo 'nonroot:x:65532:65532:nonroot:/var/lib/fanfare:/sbin/nologin' > /image/etc/passwd; \
    echo 'nonroot:x:65532:' > /image/etc/group; \
    cp LICENSE /image/usr/share/doc/fanfare/; \
    cp --parents --target-directory /image /usr/share/doc/libc6/copyright /usr/share/doc/libgcc-s1/copyright \
        /usr/share/doc/ca-certificates/copyright; \
    chmod 1777 /image/tmp; \
    umask 077; \
    mkdir -p /owned/data /owned/secrets/services /owned/secrets/keys /owned/secrets/nats /owned/secrets/redis \
        /owned/secrets/grafana /owned/volumes/nats /owned/volumes/nats-2 /owned/volumes/nats-3 /owned/volumes/redis \
        /owned/volumes/grafana

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Fanfare" \
      org.opencontainers.image.description="A durable webhook dispatcher: publish once, every subscribed webhook receives it." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# What volumes are mounted over: a new one gets the owner that the directory has here. The latter two are for `fanfare init`,
# by which servers that run as the same user get volumes of their own.
COPY --from=build --chown=65532:65532 /owned/data /var/lib/fanfare
COPY --from=build --chown=65532:65532 /owned/secrets /secrets
COPY --from=build --chown=65532:65532 /owned/volumes /volumes
USER 65532:65532
WORKDIR /var/lib/fanfare
# Inside a container a loopback listener is reachable by nobody; which ports are published is decided outside.
ENV FANFARE_LISTEN=0.0.0.0:8080 FANFARE_ADMIN_LISTEN=0.0.0.0:9090 FANFARE_DATA_DIR=/var/lib/fanfare
# Where the system gives huge pages unasked, the memory allocator is to decline them: they would cost half as much memory again.
ENV MIMALLOC_ALLOW_THP=0
EXPOSE 8080 9090
ENTRYPOINT ["/usr/bin/fanfare"]
CMD ["serve"]
