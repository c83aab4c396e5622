FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# Cache mounts keep the dependencies built when only the source changes.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile container \
    && cp target/container/duologue /duologue

FROM debian:bookworm-slim
# Certificate authorities, which verify a Redis at rediss:// and a key set at https://.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /duologue /usr/local/bin/duologue
USER 65532:65532
# All addresses of the container; only published ports are reachable from outside. The image contains
# no Redis: DUOLOGUE_REDIS_URL must name one.
ENV DUOLOGUE_BIND=0.0.0.0:8080
EXPOSE 8080
# Bash opens the TCP connection, so the image needs no HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["duologue"]
