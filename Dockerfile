# The image that docker-compose.yml runs, built from this tree.
FROM rust:1.95-bookworm AS build
WORKDIR /keywatch
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/keywatch/target \
    cargo build --release --locked && cp target/release/keywatch /usr/local/bin/keywatch

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libssl3 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 keywatch && install -d -o keywatch /var/lib/keywatch
COPY --from=build /usr/local/bin/keywatch /usr/local/bin/keywatch
USER keywatch
ENTRYPOINT ["keywatch"]
CMD ["run", "--config", "/etc/keywatch/keywatch.toml"]
