#!/usr/bin/env bash
# Runs inside the bed's namespaces. Ends with 0 when all of its processes run and what it holds is ready, without waiting.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/settings.sh"
. "$here/processes.sh"
for name in $PROCESSES; do runs "$name"; done
k get --raw /readyz >/dev/null
k --namespace=local-path-storage rollout status deploy/local-path-provisioner --timeout=1s
for deployment in cnpg-controller-manager barman-cloud; do
  k --namespace=cnpg-system rollout status "deploy/$deployment" --timeout=1s
done
