#!/usr/bin/env bash
# Checks the overlays against the Kubernetes schemas, which kubeconform fetches, and the alerts by promtool's unit tests.
# Where the schemas cannot be reached it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."

kubeconform=github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
promtool=github.com/prometheus/prometheus/cmd/promtool@v0.316.0
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 # the newest for Go 1.26

go run "$promtool" check rules --lint=all deploy/prometheus/rules.yaml
go run "$promtool" test rules deploy/prometheus/rules_test.yaml
for overlay in overlays/cpu overlays/tpu-v6e overlays/cuda fetch-model; do
  echo "deploy/kubernetes/$overlay"
  manifests=$(go run "$kustomize" build "deploy/kubernetes/$overlay")
  # ServiceMonitor is a custom resource and not among the schemas of Kubernetes.
  if ! out=$(go run "$kubeconform" -strict -summary -kubernetes-version 1.32.0 -skip ServiceMonitor <<<"$manifests" 2>&1); then
    if ! grep -q 'failed downloading schema' <<<"$out" || grep -qv -e 'failed downloading schema' -e '^Summary' -e '^exit status' <<<"$out"; then
      printf '%s\n' "$out"
      exit 1
    fi
    out="it is built; its schemas cannot be reached, so that it is not held to them"
  fi
  printf '%s\n' "$out"
done
