# DF Middleware with a PostgreSQL of its own. Settings come from the environment;
# what must outlive the container is in the volume.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin df-middleware

FROM debian:bookworm-slim
# The daemon makes its own cluster, so Debian's is not wanted. The certificates
# are those that vendor calls are checked against.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/df-middleware --create-home df-middleware \
    && chmod 0700 /var/lib/df-middleware
COPY --from=build /build/target/release/df-middleware /usr/local/bin/df-middleware
COPY df-middleware.toml /etc/df-middleware/df-middleware.toml

ENV DF_CONTAINER=1 \
    DF_CONFIG=/etc/df-middleware/df-middleware.toml \
    DF_DATA_DIR=/var/lib/df-middleware
USER df-middleware
WORKDIR /var/lib/df-middleware
VOLUME /var/lib/df-middleware
EXPOSE 8080
# bash speaks TCP itself: no curl in the image. Change the port here with DF_BIND.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [ \"$code\" = 200 ]"]
ENTRYPOINT ["df-middleware"]
CMD ["serve"]
