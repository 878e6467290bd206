# Every image of Alcazar. Final targets: operator, gateway, runtime (CPU), runtime-cuda.
#
#   docker build --target operator .          on a machine with an engine
#   make images                               without one: build/images.sh, buildah and a local base
#
# The CPU images are FROM scratch with one static binary each: no shell, no package, no loader to
# replace. docs/adr/0001-static-images.md says why static glibc.

# Pinned bases; a site with its own mirror passes its own.
ARG BUILD_BASE=docker.io/library/rust:1.95.0-slim-bookworm
ARG CUDA_BUILD_BASE=docker.io/nvidia/cuda:12.9.1-devel-ubuntu22.04
ARG CUDA_RUNTIME_BASE=gcr.io/distroless/cc-debian12:nonroot

# Writes the list of crates into each program. build/images.sh mounts it, so that nothing is downloaded in here.
ARG CARGO_AUDITABLE=0.7.7

FROM ${BUILD_BASE} AS build
ARG CARGO_AUDITABLE
RUN cargo auditable --version || cargo install --locked cargo-auditable@${CARGO_AUDITABLE}
WORKDIR /src
COPY . .
# One cargo call for all programs, so that what they share compiles once. An explicit --target keeps
# crt-static away from build scripts and procedural macros, which must stay dynamic.
# No cache mounts in here: build/images.sh mounts the host's caches, and plain builders ignore them.
ENV CARGO_TARGET_DIR=/build \
    RUSTFLAGS="-C target-feature=+crt-static" \
    RUSTC_WRAPPER=""
RUN target="$(rustc -vV | sed -n 's/^host: //p')" && \
    cargo auditable build --release --locked --target "$target" --bins -p alcazar-operator -p alcazar-gateway -p alcazar-server && \
    mkdir -p /out && \
    cp "/build/$target/release/alcazar-operator" "/build/$target/release/alcazar-gateway" \
       "/build/$target/release/alcazar-runtime" /out/

# glibc reads these two; without nsswitch.conf the order of its built-in default applies, said here aloud.
FROM ${BUILD_BASE} AS files
RUN mkdir -p /files/etc/ssl/certs && \
    cp -L /etc/ssl/certs/ca-certificates.crt /files/etc/ssl/certs/ca-certificates.crt && \
    printf 'hosts: files dns\n' > /files/etc/nsswitch.conf

FROM scratch AS operator
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="alcazar-operator" \
      org.opencontainers.image.description="Turns LlmDeployment and LlmModel into private model pods" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /files/ /
COPY --from=build /out/alcazar-operator /alcazar-operator
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/alcazar-operator"]

FROM scratch AS gateway
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="alcazar-gateway" \
      org.opencontainers.image.description="One OpenAI-compatible endpoint for all models, with keys and quotas" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /files/ /
COPY --from=build /out/alcazar-gateway /alcazar-gateway
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/alcazar-gateway"]

FROM scratch AS runtime
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="alcazar-runtime" \
      org.opencontainers.image.description="Fetches, verifies and serves one language model (CPU)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /files/ /
COPY --from=build /out/alcazar-runtime /alcazar-runtime
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/alcazar-runtime"]

# CUDA: needs nvcc, so it builds on NVIDIA's development image with the toolchain of the build base.
# `make images` leaves it out: no CUDA toolkit there.
FROM ${BUILD_BASE} AS toolchain

FROM ${CUDA_BUILD_BASE} AS build-cuda
ARG CARGO_AUDITABLE
COPY --from=toolchain /usr/local/rustup /usr/local/rustup
COPY --from=toolchain /usr/local/cargo /usr/local/cargo
WORKDIR /src
COPY . .
# The oldest GPU to run on; newer ones compile the PTX at load. 80: A100, A10, L4, H100 and newer.
ARG CUDA_COMPUTE_CAP=80
ENV RUSTUP_HOME=/usr/local/rustup \
    CARGO_HOME=/usr/local/cargo \
    PATH=/usr/local/cargo/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CARGO_TARGET_DIR=/build \
    RUSTC_WRAPPER=""
RUN cargo auditable --version || cargo install --locked cargo-auditable@${CARGO_AUDITABLE}
RUN cargo auditable build --release --locked --features alcazar-backend-candle/cuda --bins -p alcazar-server && \
    mkdir -p /out/lib && \
    cp /build/release/alcazar-runtime /out/ && \
    cp -P /usr/local/cuda/lib64/libcudart.so.12* /usr/local/cuda/lib64/libcublas.so.12* \
          /usr/local/cuda/lib64/libcublasLt.so.12* /usr/local/cuda/lib64/libcurand.so.10* \
          /usr/local/cuda/lib64/libnvrtc.so.12* /usr/local/cuda/lib64/libnvrtc-builtins.so.12* /out/lib/

FROM ${CUDA_RUNTIME_BASE} AS runtime-cuda
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="alcazar-runtime-cuda" \
      org.opencontainers.image.description="Fetches, verifies and serves one language model (CUDA)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /files/ /
COPY --from=build-cuda /out/lib/ /usr/local/cuda/lib64/
COPY --from=build-cuda /out/alcazar-runtime /alcazar-runtime
# libcuda itself comes from the node's driver through the container toolkit.
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/alcazar-runtime"]
