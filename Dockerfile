# One image for all of Sluice's binaries, for any of their architectures: static, without a shell, not root. It is built
# where the builder runs, for the platform that is asked for: docker buildx build --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.work go.mod go.sum ./
COPY internal/go.mod internal/go.sum internal/
COPY otel/go.mod otel/go.sum otel/
COPY pkg/go.mod pkg/go.sum pkg/
RUN go mod download
COPY . .
ARG VERSION=dev TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION" && mkdir /empty

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="Webhook ingress: gateway, consumers and the operator's command" \
      org.opencontainers.image.source="https://github.com/sluicehq/sluice" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/ /
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENV SLUICE_DATA=/data SLUICE_ADMIN=127.0.0.1:3001
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s CMD ["/sluicectl", "ready", "--degraded-ok"]
ENTRYPOINT ["/gateway"]
