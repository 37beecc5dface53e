# Built and run without root; the embedded ledger lives in the volume /data unless DATABASE_URL names a server.
FROM node:22-slim AS build
WORKDIR /app
COPY package.json .npmrc ./
RUN npm install --no-audit --no-fund
COPY nest-cli.json tsconfig.json .swcrc ./
COPY src src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:22-slim
# Inside a container loopback is the container: who may reach the port is decided where it is published.
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data/ledger
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY migrations migrations
COPY examples examples
COPY data/agents.json data/routing.json data/example-agent.js data/meanings.bin data/meanings.md data/
RUN ln -s /app/dist/cli.js /usr/local/bin/agent-orchestrator && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ORCHESTRATOR_PORT || 8888}/v1/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
