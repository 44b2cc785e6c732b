#!/usr/bin/env bash
# Holds what is under deploy/ to the server, and every manifest, as kustomize renders it,
# to the published schema of its kind; then the compose file to its schema, and the alerts
# to promtool's unit tests. Schemas and tools come from the registries of Go and Python at
# pinned versions, and are kept in .build/deploy-check. A schema that cannot be fetched
# leaves its kinds unvalidated, which is said. PROMTOOL=no leaves promtool out, which
# takes minutes to compile. Needs bin/scored, and Python with venv and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/.build/deploy-check
rm -rf "$work/crds" "$work/rendered"
mkdir -p "$work/bin" "$work/crds" "$work/rendered"

kubernetes=1.33 # what manifests are held to
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 # the newest for Go 1.26
compose=github.com/compose-spec/compose-go/v2@v2.16.2
promtool=github.com/prometheus/prometheus/cmd/promtool@v0.316.0
crds=( # module@version and the file or folder with CustomResourceDefinitions, all under the Apache License 2.0
  "github.com/kedacore/keda/v2@v2.21.0 config/crd/bases"
  "sigs.k8s.io/gateway-api@v1.4.1 config/crd/standard"
  "sigs.k8s.io/gateway-api-inference-extension@v1.5.0 config/crd/bases"
  "github.com/kserve/kserve@v0.20.0 config/crd/full/serving.kserve.io_clusterservingruntimes.yaml"
  "github.com/kserve/kserve@v0.20.0 config/crd/full/serving.kserve.io_inferenceservices.yaml"
  "github.com/prometheus-operator/prometheus-operator@v0.88.0 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"
)

install() { # package@version name
  if [ "$(cat "$work/bin/$2.version" 2>/dev/null)" != "$1" ]; then
    GOBIN=$work/new CGO_ENABLED=0 go install "$1"
    mv "$work"/new/* "$work/bin/$2"
    echo "$1" >"$work/bin/$2.version"
  fi
}

fetched() { # module@version: prints its folder; false if it cannot be had
  # Not from the repository, whose go.mod has no say in it.
  (cd "$work" && go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p' | grep .)
}

install "$kustomize" kustomize
PATH=$work/bin:$PATH SCORED_TEST_BINARY=$PWD/bin/scored go test ./tests/deploy

if [ ! -x "$work/venv/bin/python" ]; then
  python3 -m venv "$work/venv"
fi
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r scripts/deploy-check/requirements.txt
for crd in "${crds[@]}"; do
  read -r module path <<<"$crd"
  if dir=$(fetched "$module"); then
    mkdir -p "$work/crds/${module%@*}"
    cp -R "$dir/$path" "$work/crds/${module%@*}/"
    chmod -R u+w "$work/crds"
  else
    echo "deploy-check: $module cannot be fetched: its kinds are not validated"
  fi
done
for folder in deploy/kubernetes/{overlays/*,fetch-model,batch,kserve} tests/deploy/with/*; do
  "$work/bin/kustomize" build "$folder" >"$work/rendered/$(basename "$folder").yaml"
done
"$work/venv/bin/python" scripts/deploy-check/check.py "$kubernetes" "$work/crds" "$work"/rendered/*.yaml

if dir=$(fetched "$compose"); then
  "$work/venv/bin/python" scripts/deploy-check/check.py compose "$dir/schema/compose-spec.json" deploy/compose/compose.yaml
else
  echo "deploy-check: $compose cannot be fetched: the compose file is not validated"
fi

if [ "${PROMTOOL:-}" != no ]; then
  install "$promtool" promtool
  "$work/bin/promtool" check rules --lint=all deploy/prometheus/rules.yaml
  "$work/bin/promtool" test rules deploy/prometheus/rules_test.yaml
fi
