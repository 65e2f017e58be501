# One image for every part: `serve`, `serve --only api`, `work`, `edge`; the command says which.
# With --build-arg REQUIREMENTS=requirements-otel.txt it has the packages for traces, too.
FROM python:3.11-slim AS build
ARG REQUIREMENTS=requirements.txt
WORKDIR /src
RUN python -m venv /app
COPY requirements.txt requirements-otel.txt ./
RUN /app/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r "$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY baker baker
COPY cdn cdn
COPY edgebake edgebake
COPY feeds feeds
COPY invalidator invalidator
COPY publisher publisher
COPY templates templates
COPY deploy/varnish deploy/varnish
RUN /app/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /app/bin/python -m compileall -q /app/lib

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home edgebake
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 EDGEBAKE_HOST=0.0.0.0 EDGEBAKE_DATA_DIR=/data
USER edgebake
WORKDIR /data
EXPOSE 8080 8081 8082 8083 8084 8085
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["edgebake", "health"]
ENTRYPOINT ["edgebake"]
CMD ["serve"]
