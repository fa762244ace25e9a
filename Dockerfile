# The holdfast command with what a worker needs: PostgreSQL's client tools of every supported major, igzip and zstd.
#
#   docker build -t holdfast:local .
#
# NODE_IMAGE          any Debian-based image with Node 20
# POSTGRES_MAJORS     client tools of these majors; leave out what your servers aren't
# POSTGRES_ARCHIVE    pgdg: PostgreSQL's own archive, which has them all; debian: only what the base's release has
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src src
RUN node scripts/build.mjs && npm prune --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
ARG POSTGRES_MAJORS="15 16 17 18"
ARG POSTGRES_ARCHIVE=pgdg
# The script that adds PostgreSQL's archive, and its key, come with Debian's postgresql-common.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates isal zstd; \
    if [ "$POSTGRES_ARCHIVE" = pgdg ]; then \
      apt-get install -y --no-install-recommends postgresql-common; \
      sh /usr/share/postgresql-common/pgdg/apt.*.sh -y; \
    fi; \
    apt-get install -y --no-install-recommends $(printf 'postgresql-client-%s ' $POSTGRES_MAJORS); \
    for major in $POSTGRES_MAJORS; do "/usr/lib/postgresql/$major/bin/pg_dump" --version; done; \
    if [ "$POSTGRES_ARCHIVE" = pgdg ]; then apt-get purge -y --auto-remove postgresql-common; fi; \
    rm -rf /var/lib/apt/lists/*
# /backup is where a repository is mounted: a new volume there gets this owner.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/holdfast --create-home holdfast \
 && install -d -o holdfast -g holdfast -m 0700 /backup \
 && install -d -m 0755 /etc/holdfast
WORKDIR /opt/holdfast
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
RUN ln -s /opt/holdfast/dist/cli/main.js /usr/local/bin/holdfast && holdfast --version
ENV NODE_ENV=production
USER holdfast
WORKDIR /var/lib/holdfast
# 8080: /healthz, /readyz and /metrics, where the worker is started with --health 0.0.0.0:8080.
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["holdfast"]
CMD ["worker"]
