# The holdfast command with what a worker needs: PostgreSQL's programs of every supported major, igzip, zstd, age.
#
#   docker build -t holdfast:local .
#
# NODE_IMAGE          builds, and its Node is the one that runs; any Debian-based image with Node 20 in /usr/local/bin
# BASE_IMAGE          runs; a Debian that is no older
# POSTGRES_MAJORS     programs of these majors; leave out what your servers aren't
# POSTGRES_ARCHIVE    pgdg: PostgreSQL's own archive, which has them all; debian: only what the base's release has
# deploy/image holds the lists of packages and of what is left out of them; docs/kubernetes.md tells sizes.
ARG NODE_IMAGE=node:20-bookworm-slim
ARG BASE_IMAGE=debian:trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src src
COPY deploy/image/trim-modules.sh deploy/image/
RUN node scripts/build.mjs && npm prune --omit=dev --no-audit --no-fund && sh deploy/image/trim-modules.sh .

FROM ${BASE_IMAGE}
ARG POSTGRES_MAJORS="15 16 17 18"
ARG POSTGRES_ARCHIVE=pgdg
COPY deploy/image/packages deploy/image/left-out /usr/share/holdfast/
# The script that adds PostgreSQL's archive, and its key, come with Debian's postgresql-common.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    lines() { grep -v -e '^#' -e '^$' "/usr/share/holdfast/$1"; }; \
    lines left-out | sed 's/^/path-exclude=/' > /etc/dpkg/dpkg.cfg.d/holdfast; \
    mkdir -p /etc/postgresql-common; \
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; \
    apt-get update; \
    if [ "$POSTGRES_ARCHIVE" = pgdg ]; then \
      apt-get install -y --no-install-recommends ca-certificates postgresql-common; \
      sh /usr/share/postgresql-common/pgdg/apt.*.sh -y; \
    fi; \
    apt-get install -y --no-install-recommends $(lines packages | while read -r name; do \
      case $name in \
        *MAJOR*) for major in $POSTGRES_MAJORS; do echo "$name" | sed "s/MAJOR/$major/"; done ;; \
        *) echo "$name" ;; \
      esac; \
    done); \
    for major in $POSTGRES_MAJORS; do "/usr/lib/postgresql/$major/bin/postgres" --version; done; \
    rm -rf /var/lib/apt/lists/*
# Where a repository is mounted, archives lie for a while, instances live: a new volume there gets this owner.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/holdfast --create-home holdfast \
 && install -d -o holdfast -g holdfast -m 0700 /backup /scratch /instances \
 && install -d -m 0755 /etc/holdfast
WORKDIR /opt/holdfast
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
RUN ln -s /opt/holdfast/dist/cli/main.js /usr/local/bin/holdfast && holdfast --version
ENV NODE_ENV=production
USER 10001:10001
WORKDIR /var/lib/holdfast
# 8080: /healthz, /readyz and /metrics, where the worker is started with --health 0.0.0.0:8080.
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "holdfast"]
CMD ["worker"]
