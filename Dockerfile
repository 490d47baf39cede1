# Fanmail with its production dependencies, for `docker run <image> start|receiver|worker|…`.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=optional
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY workers workers
RUN npm run build

# The embedded PostgreSQL is an optional dependency; containers use DATABASE_URL instead.
FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev --omit=optional && npm cache clean --force

FROM node:24.21.0-bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Fanmail" \
      org.opencontainers.image.description="SES events in, signed webhooks out, and the truth about every email in between" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# As process 1, Node has no default signal handlers and does not reap orphans.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    METRICS_PORT=9464
WORKDIR /app
COPY package.json LICENSE ./
COPY migrations migrations
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
# 3000 is public; 9464 is internal: every process serves health and metrics on it.
EXPOSE 3000 9464
STOPSIGNAL SIGTERM
# A process listens on one or both of these ports.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "const ask = async (port) => { if (!(await fetch('http://127.0.0.1:' + port + '/healthz')).ok) throw new Error('unhealthy') }; Promise.any([process.env.PORT, process.env.METRICS_PORT].filter(Boolean).map(ask)).then(() => process.exit(0), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "dist/src/cli/main.js"]
CMD ["start"]
