# One image for all of Sluice's binaries: static, without a shell, not root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.work go.mod go.sum ./
COPY internal/go.mod internal/go.sum internal/
COPY pkg/go.mod pkg/go.sum pkg/
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build VERSION="$VERSION" && mkdir /empty

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/ /
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENV SLUICE_DATA=/data
ENTRYPOINT ["/gateway"]
