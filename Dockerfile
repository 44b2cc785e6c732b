# syntax=docker/dockerfile:1
# The image of scored for one device: docker build --build-arg DEVICE=cpu|tpu|cuda|none .
# none leaves the plugin out: mount a folder that `scored setup DEVICE --plugin-dir
# FOLDER` has filled on /opt/scored/plugins, and set SCORED_DEVICE.
# Tags name exact versions. To pin bytes as well, append @sha256:DIGEST, as `docker buildx
# imagetools inspect IMAGE` shows it.
ARG GO_IMAGE=golang:1.26.8-bookworm
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS rust

# Both compilers are on Debian 12, as the base is: what they link against is there at run
# time.
FROM ${GO_IMAGE} AS build
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
WORKDIR /src

# What changes seldom comes first: the Rust library takes minutes and depends on these
# files alone.
COPY go.mod go.sum ./
RUN go mod download
COPY scripts/libtokenizers.sh scripts/
COPY scripts/libtokenizers scripts/libtokenizers
RUN scripts/libtokenizers.sh /lib/tokenizers

COPY . .
RUN CGO_LDFLAGS=-L/lib/tokenizers go build -trimpath -ldflags='-s -w' -o /out/scored ./cmd/scored

FROM build AS plugin
ARG DEVICE=cpu
RUN mkdir -p /plugins /empty && \
    if [ "$DEVICE" != none ]; then /out/scored setup "$DEVICE" --plugin-dir /plugins; fi

# glibc, libgcc, libstdc++ and CA certificates, which are all that scored and the plugins
# of the three devices load beside the NVIDIA driver; no shell. The user is 65532.
FROM ${BASE_IMAGE}
ARG DEVICE=cpu
# Where libraries are looked for; the base has none, and go-xla logs an error without it.
COPY --from=build /etc/ld.so.conf /etc/ld.so.conf
COPY --from=build /etc/ld.so.conf.d /etc/ld.so.conf.d
COPY --from=build /out/scored /usr/local/bin/scored
COPY --from=plugin /plugins /opt/scored/plugins
COPY --from=plugin --chown=65532:65532 /empty /cache
# The root filesystem can be read-only: scored writes below /cache, and libraries below
# /tmp.
VOLUME ["/cache", "/tmp"]
ENV SCORED_HOST=0.0.0.0 \
    SCORED_PORT=30000 \
    SCORED_PLUGIN_DIR=/opt/scored/plugins \
    SCORED_COMPILE_CACHE=/cache/compile \
    SCORED_DOWNLOAD_DIR=/cache/models \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV SCORED_DEVICE=${DEVICE}
USER 65532:65532
EXPOSE 30000
ENTRYPOINT ["/usr/local/bin/scored"]
CMD ["serve"]
