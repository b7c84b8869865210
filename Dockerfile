# The relay as an image: one static binary and nothing else.
#
# The build image is an argument so that a machine without a registry can put
# its own in place. It carries no digest, because an image made on the spot has
# none; where the registry is at hand, pin it:
#   docker build --build-arg GO_IMAGE=golang:1.27@sha256:... .
ARG GO_IMAGE=golang:1.27

FROM ${GO_IMAGE} AS build
# The image's Go and no other: a go.mod that asks for a newer one fails here.
# What is here of .git names the revision, and is too little for the go command.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
WORKDIR /src
COPY . .
# The page's program first, since the binary embeds it. The caches outlive the
# layer, so a change costs seconds although all is copied at once. HEAD holds
# the revision, or the branch that does: in a file of its own, or packed. A
# source without .git has none, and its version says so.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    head=$(cat .git/HEAD 2>/dev/null || true) && ref=${head#ref: } && \
    if [ "$ref" = "$head" ]; then revision=$head; \
    elif [ -f ".git/$ref" ]; then revision=$(cat ".git/$ref"); \
    else revision=$(awk -v ref="$ref" '$2 == ref { print $1 }' .git/packed-refs || true); fi && \
    go generate ./... && \
    go build -trimpath -ldflags="-s -w -buildid= -X main.revision=$revision" -o /setu .

# No shell, no libraries, no certificates: the binary brings the roots it trusts.
FROM scratch
LABEL org.opencontainers.image.title="Setu" \
      org.opencontainers.image.description="A relay for rooms over Socket.IO's wire protocol, any number of them over one Redis" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /setu /setu
USER 65532:65532
EXPOSE 8080
# There is no curl here; the binary asks itself.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["/setu", "health"]
# Exec form: through a shell SIGTERM would never arrive, and nothing would drain.
ENTRYPOINT ["/setu"]
