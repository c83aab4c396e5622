FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer, so that a change of the source does not build every dependency.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile container \
    && cp target/container/duologue /duologue

FROM debian:bookworm-slim
# For the certificates of a Redis at rediss://.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /duologue /usr/local/bin/duologue
USER 65532:65532
# Reachable from outside its own network namespace only where a port is published. The image holds
# no Redis: DUOLOGUE_REDIS_URL must name one.
ENV DUOLOGUE_BIND=0.0.0.0:8080
EXPOSE 8080
# Bash speaks TCP, which spares the image an HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["duologue"]
