#!/usr/bin/env bash
# The cluster's own certificate authority, with a certificate for each of its programs and their kubeconfig files; once.
set -euo pipefail
. "$(cd "$(dirname "$0")" && pwd)/settings.sh"
[ ! -f "$PKI/done" ] || exit 0
rm -rf "$PKI" "$KUBECONFIGS"
mkdir -p "$PKI" "$KUBECONFIGS"
chmod 0700 "$PKI" "$KUBECONFIGS"
cd "$PKI"
days=3650

openssl_quietly() { openssl "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }
openssl_quietly req -x509 -newkey rsa:2048 -nodes -days $days -subj /CN=bed -keyout ca.key -out ca.crt
openssl_quietly genrsa -out sa.key 2048
openssl_quietly rsa -in sa.key -pubout -out sa.pub

# certificate NAME SUBJECT EXTENSION...
certificate() {
  local name=$1 subject=$2
  shift 2
  openssl_quietly req -newkey rsa:2048 -nodes -subj "$subject" -keyout "$name.key" -out "$name.csr"
  printf '%s\n' "$@" >"$name.extensions"
  openssl_quietly x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days $days -out "$name.crt" \
    -extfile "$name.extensions"
  rm "$name.csr" "$name.extensions"
}
service=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
certificate apiserver /CN=kube-apiserver extendedKeyUsage=serverAuth \
  "subjectAltName=$service,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP"
certificate kubelet-serving "/CN=$NODE" extendedKeyUsage=serverAuth "subjectAltName=DNS:$NODE,IP:$NODE_IP"
certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
# Each side trusts the other's certificate and nothing else, so these are signed by themselves: a client shows only one
# whose issuer the server asks for.
self_signed() {
  openssl_quietly req -x509 -newkey rsa:2048 -nodes -days $days -subj "/CN=$2" -addext "subjectAltName=DNS:$2" \
    -addext "extendedKeyUsage=$3" -keyout "$1.key" -out "$1.crt"
}
self_signed barman-cloud-server barman-cloud serverAuth
self_signed barman-cloud-client barman-cloud-client clientAuth

# user NAME SUBJECT
user() {
  local config=("$BIN/kubectl" config --kubeconfig="$KUBECONFIGS/$1")
  certificate "$1" "$2" extendedKeyUsage=clientAuth
  "${config[@]}" set-cluster bed --server="https://$NODE_IP:6443" --certificate-authority=ca.crt --embed-certs
  "${config[@]}" set-credentials "$1" --client-certificate="$1.crt" --client-key="$1.key" --embed-certs
  "${config[@]}" set-context bed --cluster=bed --user="$1"
  "${config[@]}" use-context bed
}
{
  user admin /O=system:masters/CN=admin
  user kubelet "/O=system:nodes/CN=system:node:$NODE"
  user controller-manager /CN=system:kube-controller-manager
  user scheduler /CN=system:kube-scheduler
  user kube-proxy /CN=system:kube-proxy
} >/dev/null
touch done
