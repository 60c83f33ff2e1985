# The server of OpenClaw Watch. The agent's program lies beside it.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p openclaw-watch -p openclaw-watch-agent

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 openclaw-watch \
 && useradd --system --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin openclaw-watch \
 && mkdir /data && chown 10001:10001 /data && chmod 0700 /data
# Whom channels trust when they speak TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/openclaw-watch /src/target/release/openclaw-watch-agent /usr/local/bin/
USER 10001:10001
ENV OPENCLAW_WATCH__DATA_DIR=/data
VOLUME /data
# 38888: the page. 38889: devices and MQTT clients.
EXPOSE 38888 38889
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["openclaw-watch", "health"]
ENTRYPOINT ["openclaw-watch"]
